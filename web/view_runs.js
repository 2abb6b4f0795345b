// The table of runs: any number of them, for only the rows in sight exist.

import { ask, latest } from './api.js';
import { h, picker, popover, replace, select } from './dom.js';
import { FilterBox } from './filter_box.js';
import { cell, number } from './format.js';
import { address, current, go, selection } from './state.js';

const rowHeight = 30;
const blockSize = 100;
const widths = {
  id: 64,
  name: 220,
  state: 116,
  started: 116,
  seconds: 110,
  tag: 130,
  directory: 300,
  command: 300,
};
const states = ['running', 'finished', 'failed', 'interrupted'];

export class RunsView {
  constructor(parent) {
    this.fields = null;
    this.blocks = new Map();
    this.length = 0;
    this.focus = 0;
    this.version = 0;
    this.fetchFields = latest();
    this.filter = new FilterBox();
    this.tools = h('div', { class: 'tools' });
    this.head = h('div', { class: 'thead', role: 'row' });
    this.space = h('div', { class: 'space' });
    this.body = h(
      'div',
      { class: 'tbody', tabindex: 0, role: 'grid', 'aria-label': 'Runs', 'aria-multiselectable': 'true' },
      this.head,
      this.space,
    );
    this.note = h('div', { class: 'note', hidden: true });
    this.status = h('span', { class: 'faint', role: 'status' });
    this.chosen = h('span', { class: 'chosen' });
    this.element = h(
      'section',
      { class: 'runs' },
      h('div', { class: 'toolbar' }, this.filter.element, this.tools),
      this.note,
      this.body,
      h('footer', {}, this.status, this.chosen),
    );
    parent.append(this.element);
    this.body.addEventListener('scroll', () => this.draw(), { passive: true });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.body);
  }
  destroy() {
    this.observer.disconnect();
    this.gone = true;
  }

  columns(state) {
    const named = state.list('col');
    if (named.length) return named;
    const metrics = this.fields?.metrics ?? [];
    const best = metrics.filter((name) => name.startsWith('test_'));
    const shown = best.length ? best : metrics.filter((name) => name.startsWith('val_'));
    return ['id', 'name', 'state', 'started', 'seconds', ...(shown.length ? shown : metrics).slice(0, 6)];
  }

  async update(state) {
    this.filter.update(state);
    if (!this.fields) {
      const here = ++this.version;
      this.fields = await ask('fields');
      if (this.gone || here !== this.version) return;
    }
    const key = ['where', 'sort', 'group', 'col', 'open'].map((name) => state.list(name).join('\n')).join(
      '\n\n',
    );
    this.drawTools(state);
    if (key !== this.shownKey) {
      this.shownKey = key;
      this.reload();
    } else {
      this.draw();
    }
  }

  text(name) {
    return current().text(name, name === 'sort' ? 'id:desc' : '');
  }
  list(name) {
    return current().list(name);
  }

  /** Asks for everything in sight anew; what is shown stays until the answer is there. */
  reload() {
    this.version += 1;
    this.shownColumns = this.columns(current());
    this.asked = new Set();
    this.blocks.forEach((block) => {
      block.old = true;
    });
    this.loadInSight();
  }

  async load(block) {
    if (this.asked.has(block)) return;
    this.asked.add(block);
    const version = this.version;
    try {
      const answer = await ask('table', {
        where: this.text('where'),
        sort: this.text('sort'),
        group: this.text('group'),
        open: this.list('open'),
        column: this.shownColumns,
        offset: block * blockSize,
        limit: blockSize,
      });
      if (version !== this.version || this.gone) return;
      this.filter.show(null);
      if (this.length !== answer.length) {
        this.length = answer.length;
        [...this.blocks.keys()].filter((key) => key * blockSize >= this.length).forEach((key) =>
          this.blocks.delete(key)
        );
      }
      this.total = answer;
      this.blocks.set(block, { rows: answer.rows });
      while (this.blocks.size > 40) this.blocks.delete(this.blocks.keys().next().value);
      this.draw();
    } catch (error) {
      if (version !== this.version || this.gone) return;
      this.asked.delete(block);
      this.filter.show(error);
    }
  }

  loadInSight() {
    const first = Math.max(0, Math.floor((this.body.scrollTop) / rowHeight / blockSize));
    const last = Math.max(
      first,
      Math.floor((this.body.scrollTop + this.body.clientHeight) / rowHeight / blockSize),
    );
    for (let block = first; block <= last; ++block) {
      const known = this.blocks.get(block);
      if ((!known || known.old) && (block === first || block * blockSize < this.length)) this.load(block);
    }
  }

  row(place) {
    return this.blocks.get(Math.floor(place / blockSize))?.rows[place % blockSize];
  }

  draw() {
    if (!this.total) return;
    this.loadInSight();
    this.drawHead();
    this.space.style.height = `${this.length * rowHeight}px`;
    const first = Math.max(0, Math.floor(this.body.scrollTop / rowHeight) - 4);
    const last = Math.min(
      this.length,
      Math.ceil((this.body.scrollTop + this.body.clientHeight) / rowHeight) + 4,
    );
    const chosen = new Set(selection.ids());
    const rows = [];
    for (let place = first; place < last; ++place) rows.push(this.drawRow(place, chosen));
    this.space.replaceChildren(...rows);
    this.body.setAttribute('aria-rowcount', this.length);
    this.drawFooter(chosen);
    this.note.hidden = this.total.total > 0 && this.length > 0;
    if (!this.note.hidden) {
      replace(
        this.note,
        this.total.total === 0
          ? 'No runs yet. Start one with `polyphony train`; it appears here by itself.'
          : 'No run matches the filter.',
      );
    }
  }

  template() {
    return [
      '36px',
      ...this.shownColumns.map((name) =>
        `minmax(${widths[name] ?? Math.max(96, Math.min(220, 9 * name.length))}px, ${
          name === 'name' ? '2fr' : '1fr'
        })`
      ),
    ].join(' ');
  }
  width() {
    return 36 +
      this.shownColumns.reduce(
        (sum, name) => sum + (widths[name] ?? Math.max(96, Math.min(220, 9 * name.length))),
        0,
      );
  }

  drawHead() {
    const key = `${this.shownColumns.join('\n')}\n${this.text('sort')}`;
    if (key === this.headKey) return;
    this.headKey = key;
    const [field, way] = splitOrder(this.text('sort'));
    const sortBy = (name) => () =>
      go({ sort: `${name}:${name === field && way === 'desc' ? 'asc' : 'desc'}` });
    for (const part of [this.head, this.space]) part.style.setProperty('--columns', this.template());
    for (const part of [this.head, this.space]) part.style.minWidth = `${this.width()}px`;
    replace(
      this.head,
      h('span', { class: 'cell' }),
      this.shownColumns.map((name) =>
        h(
          'button',
          {
            type: 'button',
            class: 'cell',
            role: 'columnheader',
            title: `${name}: sort`,
            'aria-sort': name === field ? (way === 'desc' ? 'descending' : 'ascending') : 'none',
            onclick: sortBy(name),
          },
          h('span', {}, name),
          name === field && h('i', {}, way === 'desc' ? '▾' : '▴'),
        )
      ),
    );
  }

  drawRow(place, chosen) {
    const row = this.row(place);
    const style = { transform: `translateY(${place * rowHeight}px)` };
    const focused = place === this.focus && document.activeElement === this.body;
    if (!row) return h('div', { class: 'row waiting', style });
    const isGroup = row.group !== undefined;
    const element = h('div', {
      class: `row${isGroup ? ' group' : ''}${focused ? ' focused' : ''}`,
      role: 'row',
      'aria-rowindex': place + 1,
      'aria-selected': isGroup ? null : chosen.has(row.id) ? 'true' : 'false',
      style,
      onclick: (event) => {
        this.focus = place;
        if (event.target.closest('a, input')) return;
        if (isGroup) this.toggleGroup(row);
        else go({ run: row.id }, { view: 'run' });
      },
    });
    element.append(
      isGroup ? h('span', { class: 'cell' }, row.open ? '▾' : '▸') : h(
        'span',
        { class: 'cell' },
        h('input', {
          type: 'checkbox',
          tabindex: -1,
          checked: chosen.has(row.id),
          'aria-label': `Choose run ${row.id}`,
          onchange: () => {
            selection.toggle(row.id);
          },
        }),
      ),
    );
    this.shownColumns.forEach((name, i) =>
      element.append(isGroup ? this.groupCell(row, name, i) : this.runCell(row, name, row.cells[i]))
    );
    return element;
  }

  runCell(row, name, value) {
    if (name === 'state') {
      return h(
        'span',
        { class: 'cell', role: 'gridcell' },
        h(
          'span',
          { class: `state ${value}`, title: row.died ? 'its process is gone' : value },
          row.died ? 'died' : value,
        ),
      );
    }
    const text = cell(name, value);
    if (name === 'name') {
      return h(
        'span',
        { class: 'cell', role: 'gridcell', title: text },
        h('a', { href: address({ run: row.id }, 'run'), tabindex: -1 }, text || '(no name)'),
      );
    }
    return h('span', {
      class: typeof value === 'number' ? 'cell num' : 'cell',
      role: 'gridcell',
      title: String(value ?? ''),
    }, text);
  }

  groupCell(row, name, i) {
    if (i === 0) {
      return h(
        'span',
        { class: 'cell wide' },
        h('b', {}, row.group || '(none)'),
        h('span', { class: 'faint' }, ` ${row.runs} ${row.runs === 1 ? 'run' : 'runs'}`),
      );
    }
    const value = row.cells[i];
    if (value === null || value === undefined || name === 'id') return h('span', { class: 'cell' });
    if (typeof value !== 'object') return h('span', { class: 'cell faint' }, cell(name, value));
    const half = (value.high - value.low) / 2;
    return h(
      'span',
      {
        class: 'cell num',
        title: `mean ${number(value.mean)}, from ${number(value.low)} to ${number(value.high)}`,
      },
      cell(name, value.mean),
      half > 0 && name !== 'seconds' &&
        h('span', { class: 'faint' }, ` ±${number(Number(half.toPrecision(2)))}`),
    );
  }

  drawFooter(chosen) {
    this.status.textContent = this.total.matching === this.total.total
      ? `${this.total.total} runs`
      : `${this.total.matching} of ${this.total.total} runs`;
    const key = [...chosen].join(',');
    if (key === this.chosenKey) return;
    this.chosenKey = key;
    replace(
      this.chosen,
      chosen.size > 0 && [
        h('b', {}, `${chosen.size} chosen`),
        h('a', { href: address({}, 'curves') }, 'curves'),
        chosen.size > 1 && h('a', { href: address({}, 'compare') }, 'compare'),
        h('button', { type: 'button', class: 'link', onclick: () => selection.set([]) }, 'none'),
      ],
    );
  }

  drawTools(state) {
    const key = state.text('group');
    if (key === this.toolsKey || this.tools.querySelector('.popover:not([hidden])')) return; // not under the hand
    this.toolsKey = key;
    const groups = [
      ['', 'none'],
      ...[
        'state',
        'name',
        'tag',
        'group',
        'verb',
        'seed',
        'host',
        ...this.fields.varying.filter((name) => name !== 'seed'),
      ].map((name) => [name, name]),
    ];
    if (state.text('group') && !groups.some(([name]) => name === state.text('group'))) {
      groups.push([state.text('group'), state.text('group')]);
    }
    const all = () => [
      ...this.fields.fields,
      ...this.fields.metrics,
      ...this.fields.varying,
      ...this.fields.keys.filter((name) => !this.fields.varying.includes(name)),
    ];
    replace(
      this.tools,
      h(
        'span',
        { class: 'chips' },
        states.map((name) =>
          this.fields.states[name] > 0 && h('button', {
            type: 'button',
            class: `chip ${name}`,
            title: `only ${name} runs`,
            onclick: () => go({ where: this.text('where') === `state = ${name}` ? '' : `state = ${name}` }),
          }, `${this.fields.states[name]} ${name}`)
        ),
      ),
      select('group by', groups, state.text('group'), (value) => go({ group: value, open: null })),
      popover(
        'columns',
        () => picker(all(), this.columns(current()), (names) => go({ col: names }, { quiet: true })),
        'Choose columns',
      ),
      popover('choose', (close) => [
        h('p', { class: 'faint' }, 'of the runs that match, in the table’s order'),
        ...[10, 30, 100].map((count) =>
          h('button', {
            type: 'button',
            onclick: async () => {
              const { ids } = await ask('ids', {
                where: this.text('where'),
                sort: this.text('sort'),
                limit: count,
              });
              close();
              selection.set(ids);
            },
          }, `the first ${count}`)
        ),
      ], 'Choose many runs'),
    );
  }

  toggleGroup(row) {
    const open = this.list('open');
    go({ open: row.open ? open.filter((name) => name !== row.group) : [...open, row.group] }, {
      quiet: true,
    });
  }

  async news(news) {
    this.fields = await ask('fields');
    this.toolsKey = null;
    this.drawTools(current());
    if (news.everything || news.runs.length) this.reload();
  }

  key(event) {
    const row = this.row(this.focus);
    const page = Math.max(1, Math.floor(this.body.clientHeight / rowHeight) - 2);
    const moves = {
      ArrowDown: 1,
      ArrowUp: -1,
      j: 1,
      k: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key in moves) {
      this.focus = Math.min(this.length - 1, Math.max(0, this.focus + moves[event.key]));
      this.body.focus({ preventScroll: true });
      const top = this.focus * rowHeight, room = this.body.clientHeight - this.head.offsetHeight;
      if (top < this.body.scrollTop) this.body.scrollTop = top;
      else if (top + rowHeight > this.body.scrollTop + room) this.body.scrollTop = top + rowHeight - room;
      this.draw();
    } else if (event.key === 'Enter' && row && !event.target.closest('a, button')) {
      if (row.group !== undefined) this.toggleGroup(row);
      else go({ run: row.id }, { view: 'run' });
    } else if (
      (event.key === 'x' || event.key === ' ') && row?.id !== undefined && !event.target.closest('button')
    ) {
      selection.toggle(row.id);
    } else if (event.key === 'Escape') {
      selection.set([]);
    } else {
      return false;
    }
    return true;
  }
}

function splitOrder(order) {
  const at = order.lastIndexOf(':');
  return at < 0 ? [order, 'asc'] : [order.slice(0, at), order.slice(at + 1)];
}
