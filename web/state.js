// What is looked at stands in the address: #VIEW?KEY=VALUE&... A copied address shows the same.

const listeners = new Set();

export function current() {
  const [view, query = ''] = location.hash.slice(1).split('?');
  const parameters = new URLSearchParams(query);
  return {
    view: view || 'runs',
    text: (name, otherwise = '') => parameters.get(name) ?? otherwise,
    list: (name) => parameters.getAll(name),
    ids: (name) => (parameters.get(name) ?? '').split(',').filter(Boolean).map(Number),
    number: (name, otherwise) => parameters.has(name) ? Number(parameters.get(name)) : otherwise,
    flag: (name) => parameters.get(name) === '1',
    parameters,
  };
}

/** The address with some parameters changed: null or '' takes one away, a list gives several. */
export function address(changes, view = current().view) {
  const parameters = new URLSearchParams(current().parameters);
  for (const [name, value] of Object.entries(changes)) {
    parameters.delete(name);
    if (value === null || value === undefined || value === '' || value === false) continue;
    if (Array.isArray(value)) value.forEach((item) => parameters.append(name, item));
    else parameters.set(name, value === true ? '1' : value);
  }
  const query = parameters.toString();
  return `#${view}${query ? '?' + query : ''}`;
}

/** Goes there; `quiet` leaves no step in the history, for what changes by the keystroke. */
export function go(changes, { view, quiet = false } = {}) {
  const url = address(changes, view ?? current().view);
  if (url === location.hash) return;
  history[quiet ? 'replaceState' : 'pushState'](null, '', url);
  for (const listener of listeners) listener();
}

export function onchange(listener) {
  listeners.add(listener);
}
window.addEventListener('popstate', () => listeners.forEach((listener) => listener()));
window.addEventListener('hashchange', () => listeners.forEach((listener) => listener()));

// The runs chosen, for curves and comparison.
export const selection = {
  ids: () => current().ids('sel'),
  has: (id) => current().ids('sel').includes(id),
  toggle(id) {
    const ids = selection.ids();
    go({ sel: (ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]).join(',') }, {
      quiet: true,
    });
  },
  set: (ids) => go({ sel: ids.join(',') }, { quiet: true }),
};
