// Chosen runs side by side: where their configurations differ, and what they reached.

import { ask, latest } from './api.js';
import { h, replace } from './dom.js';
import { number } from './format.js';
import { selection } from './state.js';

export class CompareView {
  constructor(parent) {
    this.fetch = latest();
    this.element = h('section', { class: 'page' });
    parent.append(this.element);
  }
  async update() {
    const ids = selection.ids();
    if (ids.length < 2) {
      replace(
        this.element,
        h('p', { class: 'note' }, 'Choose two or more runs in the table (x), then come back.'),
      );
      return;
    }
    const data = await this.fetch((signal) => ask('compare', { ids: ids.join(',') }, signal));
    const head = (title) =>
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', {}, title),
          data.runs.map((run) =>
            h('th', {}, h('a', { href: `#run?run=${run.id}` }, `${run.id} ${run.name}`))
          ),
        ),
      );
    replace(
      this.element,
      h('h2', {}, 'Configuration'),
      data.config.length
        ? h(
          'div',
          { class: 'scroll' },
          h(
            'table',
            { class: 'plain diff' },
            head('key'),
            h(
              'tbody',
              {},
              data.config.map((row) =>
                h(
                  'tr',
                  {},
                  h('th', {}, row.name),
                  row.cells.map((text, i) =>
                    h('td', { class: i > 0 && text !== row.cells[0] ? 'other' : null }, text)
                  ),
                )
              ),
            ),
          ),
        )
        : h('p', { class: 'note' }, 'The configurations are the same.'),
      h('h2', {}, 'Metrics'),
      h(
        'div',
        { class: 'scroll' },
        h(
          'table',
          { class: 'plain' },
          head('metric'),
          h('tbody', {}, data.metrics.map((row) => this.metric(row))),
        ),
      ),
    );
  }
  /** The best of a row is marked: the least of a loss, the greatest of all else. */
  metric(row) {
    const values = row.cells.map(Number);
    const known = values.filter(Number.isFinite);
    const best = /loss|error|wer|cer/i.test(row.name) ? Math.min(...known) : Math.max(...known);
    const mark = known.length > 1 && new Set(known).size > 1 && !/^lr|epoch|step$/.test(row.name);
    return h(
      'tr',
      {},
      h('th', {}, row.name),
      values.map((value, i) =>
        h(
          'td',
          { class: `num${mark && value === best ? ' best' : ''}` },
          Number.isFinite(value) ? number(value) : row.cells[i],
        )
      ),
    );
  }
  news(news) {
    if (news.everything || selection.ids().some((id) => news.runs.includes(id))) this.update();
  }
}
