// Elements without markup: text from the store never becomes HTML.

/** An element. `properties`: on* functions, class, dataset, style (an object), ARIA and attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name === 'style') {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else if (name === 'value' || name === 'checked' || name === 'disabled' || name === 'open') {
      element[name] = value;
    } else element.setAttribute(name, value === true ? '' : value);
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** Runs `work` once nothing has called for `delay` ms. */
export function debounced(work, delay) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), delay);
  };
}

/** A menu of options; `onpick` gets the value. */
export function select(label, options, value, onpick) {
  return h(
    'label',
    { class: 'field' },
    h('span', {}, label),
    h(
      'select',
      { onchange: (event) => onpick(event.target.value) },
      options.map((option) => {
        const [text, name] = Array.isArray(option) ? option : [option, option];
        const item = h('option', { value: text }, name);
        item.selected = text === value;
        return item;
      }),
    ),
  );
}

/** A button that opens a box below itself; `fill` makes the box's content each time. */
export function popover(label, fill, title = '') {
  const box = h('div', { class: 'popover', hidden: true, role: 'dialog', 'aria-label': label });
  const button = h(
    'button',
    { type: 'button', title, 'aria-haspopup': 'dialog', 'aria-expanded': 'false' },
    label,
  );
  const close = () => {
    box.hidden = true;
    button.setAttribute('aria-expanded', 'false');
    document.removeEventListener('pointerdown', outside, true);
  };
  const outside = (event) => {
    if (!holder.contains(event.target)) close();
  };
  button.addEventListener('click', () => {
    if (!box.hidden) return close();
    replace(box, fill(close));
    box.hidden = false;
    button.setAttribute('aria-expanded', 'true');
    document.addEventListener('pointerdown', outside, true);
    box.querySelector('input')?.focus();
  });
  const holder = h(
    'span',
    {
      class: 'holder',
      onkeydown: (event) => {
        if (event.key === 'Escape' && !box.hidden) {
          event.stopPropagation();
          close();
          button.focus();
        }
      },
    },
    button,
    box,
  );
  return holder;
}

/** A list of names to tick, with a search. `onchange` gets the names ticked, in order of ticking. */
export function picker(names, chosen, onchange) {
  let ticked = [...chosen];
  const list = h('div', { class: 'picks' });
  const show = (text) => {
    const words = text.toLowerCase();
    const found = names.filter((name) => name.toLowerCase().includes(words));
    found.sort((a, b) => ticked.includes(b) - ticked.includes(a));
    replace(
      list,
      found.slice(0, 200).map((name) =>
        h(
          'label',
          {},
          h('input', {
            type: 'checkbox',
            checked: ticked.includes(name),
            onchange: (event) => {
              ticked = event.target.checked ? [...ticked, name] : ticked.filter((other) => other !== name);
              onchange(ticked);
            },
          }),
          h('span', {}, name),
        )
      ),
      found.length > 200 && h('p', { class: 'faint' }, `and ${found.length - 200} more: type to find them`),
      !found.length && h('p', { class: 'faint' }, 'none of that name'),
    );
  };
  const search = h('input', {
    type: 'search',
    placeholder: 'find',
    'aria-label': 'find',
    oninput: (event) => show(event.target.value),
  });
  show('');
  return h('div', { class: 'picker' }, search, list);
}

/** A box of the page under a title; `beside` stands next to it. */
export function panel(title, beside, ...content) {
  return h('article', { class: 'panel' }, h('header', {}, h('h2', {}, title), beside), content);
}

/** Buttons that save a drawing; `onsave` gets 'png' or 'svg'. */
export function saveButtons(onsave) {
  const button = (kind) => h('button', { type: 'button', onclick: () => onsave(kind) }, kind.toUpperCase());
  return h('span', { class: 'buttons' }, ['png', 'svg'].map(button));
}

/** A table's row: names as th, numbers as they are read. */
export const row = (...cells) => h('tr', {}, cells);
export const th = (content, properties = {}) => h('th', properties, content);
export const num = (content, properties = {}) => h('td', { class: 'num', ...properties }, content);
