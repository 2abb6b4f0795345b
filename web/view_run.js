// One run: what it is, what it reached, what it got wrong, and what it said.

import { ask, audioUrl, latest } from './api.js';
import { CurveChart } from './curve_chart.js';
import { h, replace } from './dom.js';
import { bytes, colour, duration, number, time } from './format.js';
import { address, current, go, selection } from './state.js';

const tabs = { overview: 'Overview', curves: 'Curves', predictions: 'Predictions', figures: 'Figures', config: 'Configuration', console: 'Console', system: 'System', code: 'Code and model' };

export class RunView {
  constructor(parent) {
    this.fetch = latest();
    this.charts = [];
    this.head = h('header', { class: 'runhead' });
    this.tabs = h('nav', { class: 'tabs', 'aria-label': 'Parts of the run' });
    this.body = h('div', { class: 'runbody' });
    this.element = h('section', { class: 'page run' }, this.head, this.tabs, this.body);
    parent.append(this.element);
  }
  destroy() {
    this.gone = true;
    this.clear();
  }
  clear() {
    this.charts.forEach(chart => chart.destroy());
    this.charts = [];
    this.lastLine = null;
  }
  themed() { this.charts.forEach(chart => chart.repaint()); }

  async update(state) {
    this.id = Number(state.text('run'));
    try {
      this.run = await this.fetch(signal => ask('run', { id: this.id }, signal));
    } catch (error) {
      replace(this.head, h('p', { class: 'note' }, error.message));
      return;
    }
    if (this.gone) return;
    this.drawHead();
    const tab = tabs[state.text('tab')] ? state.text('tab') : 'overview';
    replace(this.tabs, Object.entries(tabs).map(([name, title]) => h('a', { href: address({ tab: name === 'overview' ? null : name }), 'aria-current': name === tab ? 'page' : null }, title)));
    const key = JSON.stringify([tab, state.text('set'), state.text('label'), state.text('pred'), state.text('page'), state.flag('all')]);
    const live = tab === this.tab && (tab === 'curves' || tab === 'console' || tab === 'system');
    if (key === this.shownKey && live) return this[`more_${tab}`]();
    if (key === this.shownKey && tab === 'predictions') return undefined;  // a playing recording is not cut off
    this.shownKey = key;
    this.tab = tab;
    this.clear();
    return this[tab](state);
  }
  news(news) {
    if (news.everything || news.runs.includes(this.id)) this.update(current());
  }

  drawHead() {
    const { run } = this;
    const chosen = selection.has(run.id);
    replace(this.head, h('h1', {}, h('span', { class: 'faint' }, `${run.id} `), run.name || '(no name)'),
      h('span', { class: `state ${run.state}` }, run.died ? 'died' : run.state),
      run.tags.map(tag => h('a', { class: 'tag', href: `#runs?where=${encodeURIComponent(`tag = "${tag}"`)}` }, tag)),
      h('button', { type: 'button', onclick: () => { selection.toggle(run.id); this.drawHead(); } }, chosen ? 'chosen ✓' : 'choose'));
  }

  facts(rows) {
    return h('dl', { class: 'facts' }, rows.filter(([, value]) => value !== '' && value !== null && value !== undefined).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
  }

  overview() {
    const { run } = this;
    const pairs = (title, values) => Object.keys(values).length > 0 && h('details', { open: title === 'Hyper-parameters' }, h('summary', {}, title), this.facts(Object.entries(values)));
    replace(this.body,
      run.error && h('pre', { class: 'failure' }, run.error),
      run.alerts.map(alert => h('p', { class: `alert ${alert.level}` }, h('b', {}, alert.title), ' ', alert.text)),
      h('div', { class: 'two' },
        h('div', {}, this.facts([['started', time(run.started)], ['took', duration(run.duration)], ['verb', run.verb], ['group', run.group], ['seed', run.seed], ['notes', run.notes], ['ended by', run.exit_reason],
          ['directory', run.directory], ['command', h('code', {}, run.command)], ['overrides', run.overrides.length ? h('code', {}, run.overrides.join(' ')) : ''],
          ['commit', run.git_commit ? `${run.git_commit.slice(0, 12)}${run.git_dirty ? ' (changed)' : ''}` : ''], ['host', `${run.host} (pid ${run.pid})`], ['source', run.source === 'polyphony' ? '' : run.source]]),
        pairs('Hyper-parameters', run.hyper_parameters), pairs('Machine', run.system), pairs('Environment', run.environment), this.artifacts()),
        h('div', {}, h('table', { class: 'plain' }, h('thead', {}, h('tr', {}, ['metric', 'last', 'least', 'greatest', 'step'].map(name => h('th', {}, name)))),
          h('tbody', {}, run.summaries.map(metric => h('tr', {}, h('th', {}, h('a', { href: `#curves?metric=${encodeURIComponent(metric.name)}&sel=${run.id}` }, metric.name)),
            [metric.last, metric.min, metric.max, metric.step].map(value => h('td', { class: 'num' }, number(value)))))))),
      ));
  }
  artifacts() {
    const { artifacts } = this.run;
    return artifacts.length > 0 && h('details', {}, h('summary', {}, `Artifacts (${artifacts.length})`), h('table', { class: 'plain' }, h('tbody', {}, artifacts.map(file => h('tr', {}, h('th', {}, file.name), h('td', {}, file.kind), h('td', { class: 'num' }, bytes(file.bytes)), h('td', { class: 'hash', title: file.sha256 }, file.sha256.slice(0, 12)))))));
  }

  config() { replace(this.body, h('pre', { class: 'code' }, this.run.config_yaml || 'no configuration was recorded')); }
  code() {
    const { run } = this;
    replace(this.body, h('h2', {}, 'Model'), h('pre', { class: 'code' }, run.model_summary || 'no summary was recorded'),
      h('h2', {}, 'Changes against the commit'), run.git_diff ? h('pre', { class: 'code' }, run.git_diff.split('\n').map(line => h('span', { class: line.startsWith('+') ? 'plus' : line.startsWith('-') ? 'minus' : line.startsWith('@@') ? 'faint' : null }, `${line}\n`))) : h('p', { class: 'note' }, 'None.'));
  }

  // Curves of this run alone.
  async curves() {
    const box = h('div', { class: 'grid' });
    replace(this.body, box);
    this.panels = [];
    for (const metric of this.run.summaries.filter(summary => summary.count > 1).slice(0, 40)) {
      const chart = new CurveChart({ title: metric.name, xName: () => 'step', height: () => 220 });
      this.charts.push(chart);
      this.panels.push({ chart, metric: metric.name });
      box.append(h('article', { class: 'panel' }, h('header', {}, h('h2', {}, metric.name), h('span', { class: 'buttons' }, ['png', 'svg'].map(kind => h('button', { type: 'button', onclick: () => chart.export(kind) }, kind.toUpperCase())))), chart.element));
    }
    if (!this.panels.length) replace(box, h('p', { class: 'note' }, 'No metric has more than one value.'));
    await this.more_curves();
  }
  async more_curves() {
    for (const { chart, metric } of this.panels) {
      const data = await ask('curves', { metric, ids: this.id, buckets: 600 });
      if (this.gone || this.tab !== 'curves') return;
      chart.set({ curves: data.curves.map(curve => ({ ...floats(curve), label: metric, colour: colour(0) })) });
    }
  }

  async system() {
    const box = h('div', { class: 'grid' });
    replace(this.body, box);
    this.systemBox = box;
    this.systemCharts = new Map();
    await this.more_system();
    if (!this.systemCharts.size) replace(box, h('p', { class: 'note' }, 'Nothing was measured of the machine.'));
  }
  async more_system() {
    const data = await ask('system', { id: this.id, buckets: 600 });
    if (this.gone || this.tab !== 'system') return;
    data.curves.forEach((curve, i) => {
      let chart = this.systemCharts.get(curve.name);
      if (!chart) {
        chart = new CurveChart({ title: curve.name, xName: () => 'seconds', height: () => 200 });
        this.systemCharts.set(curve.name, chart);
        this.charts.push(chart);
        this.systemBox.append(h('article', { class: 'panel' }, h('header', {}, h('h2', {}, curve.name)), chart.element));
      }
      chart.set({ curves: [{ ...floats(curve), label: curve.name, colour: colour(i) }] });
    });
  }

  async console() {
    this.lines = h('pre', { class: 'code console', tabindex: 0 });
    this.lastLine = 0;
    replace(this.body, this.lines);
    await this.more_console();
    if (!this.lines.childNodes.length) this.lines.textContent = 'nothing was printed, or it was not recorded';
    this.lines.scrollTop = this.lines.scrollHeight;
  }
  async more_console() {
    const after = this.lastLine;
    const { lines } = await ask('console', { id: this.id, after });
    if (this.gone || this.tab !== 'console' || after !== this.lastLine || !lines.length) return;
    if (after === 0) this.lines.textContent = '';
    const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 20;
    this.lastLine = lines[lines.length - 1].id;
    this.lines.append(lines.map(line => line.text).join('\n') + '\n');
    if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }

  // What the run itself drew of its evaluations: ROC, precision and recall, calibration.
  async figures() {
    const { figures } = await ask('figures', { id: this.id });
    if (this.gone || this.tab !== 'figures') return;
    const box = h('div', { class: 'grid' });
    replace(this.body, figures.length ? box : h('p', { class: 'note' }, 'Labelled rows were never evaluated, so there is no figure.'));
    for (const figure of figures) {
      const shape = shapes[figure.kind]?.(figure.data);
      if (!shape) continue;
      if (shape.matrix) {
        box.append(h('article', { class: 'panel' }, h('header', {}, h('h2', {}, `Confusion matrix, ${figure.data.stage}`)), this.matrix(shape.matrix)));
        continue;
      }
      const chart = new CurveChart({ title: `${shape.title}, ${figure.data.stage}`, xName: () => shape.x, height: () => 260 });
      this.charts.push(chart);
      box.append(h('article', { class: 'panel', dataset: { kind: figure.kind } }, h('header', {}, h('h2', {}, chart.options.title), h('span', { class: 'faint' }, shape.note ?? ''),
        h('span', { class: 'buttons' }, ['png', 'svg'].map(kind => h('button', { type: 'button', onclick: () => chart.export(kind) }, kind.toUpperCase())))), chart.element));
      chart.set({ curves: shape.curves.map((curve, i) => ({ ...floats(ascending(curve)), label: curve.label, colour: curve.plain ? '#8d99a8' : colour(i) })) });
    }
  }

  // What was predicted: the confusion matrix, the classes, and the items that went wrong.
  async predictions(state) {
    const sets = this.run.prediction_sets;
    if (!sets.length) {
      replace(this.body, h('p', { class: 'note' }, 'This run has predicted nothing yet, or its directory is gone.'));
      return;
    }
    const set = sets.includes(state.text('set')) ? state.text('set') : sets[0];
    const label = state.number('label', -1), prediction = state.number('pred', -1), page = state.number('page', 0), all = state.flag('all');
    try {
      const [matrix, items] = await Promise.all([ask('confusion', { id: this.id, set }), ask('items', { id: this.id, set, label, prediction, all: all ? 1 : null, offset: page * 50 })]);
      if (this.gone || this.tab !== 'predictions') return;
      replace(this.body,
        sets.length > 1 && h('p', { class: 'chips' }, sets.map(name => h('a', { class: 'chip', 'aria-current': name === set ? 'true' : null, href: address({ set: name, label: null, pred: null, page: null }) }, name))),
        h('div', { class: 'two' }, this.matrix(matrix, label, prediction), this.scores(matrix)),
        this.items(set, items, { label, prediction, page, all, classes: matrix.classes }));
    } catch (error) {
      replace(this.body, h('p', { class: 'error' }, `${error.message} ${error.remedy ?? ''}`));
    }
  }

  matrix({ classes, counts }, label, prediction) {
    const sums = counts.map(row => row.reduce((a, b) => a + b, 0));
    return h('div', {}, h('h2', {}, 'Confusion matrix'), h('div', { class: 'scroll' }, h('table', { class: 'matrix', 'aria-label': 'Confusion matrix' },
      h('thead', {}, h('tr', {}, h('th', { class: 'corner' }, 'was \\ said'), classes.map(name => h('th', {}, name)))),
      h('tbody', {}, counts.map((row, i) => h('tr', {}, h('th', {}, classes[i]), row.map((count, j) => {
        const share = sums[i] ? count / sums[i] : 0;
        const cell = h('button', { type: 'button', title: `${count} of ${classes[i]} were called ${classes[j]} (${(100 * share).toFixed(1)} %)`, 'aria-pressed': i === label && j === prediction ? 'true' : null, class: i === j ? 'right' : 'wrong',
          disabled: label === undefined,
          onclick: () => go(i === label && j === prediction ? { label: null, pred: null, page: null, all: null } : { label: String(i), pred: String(j), page: null, all: i === j }) }, count, h('small', {}, `${(100 * share).toFixed(0)} %`));
        cell.style.setProperty('--share', `${Math.round(100 * Math.sqrt(share))}%`);
        return h('td', {}, cell);
      })))))));
  }

  scores({ scores, accuracy, macro_f1, rows }) {
    return h('div', {}, h('h2', {}, 'Classes'), h('table', { class: 'plain' },
      h('thead', {}, h('tr', {}, ['class', 'precision', 'recall', 'F1', 'rows'].map(name => h('th', {}, name)))),
      h('tbody', {}, scores.map(row => h('tr', {}, h('th', {}, row.class), [row.precision, row.recall, row.f1].map(value => h('td', { class: 'num' }, value.toFixed(4))), h('td', { class: 'num' }, row.support)))),
      h('tfoot', {}, h('tr', {}, h('th', {}, 'accuracy'), h('td', { class: 'num', colspan: 3 }, accuracy.toFixed(4)), h('td', { class: 'num' }, rows)), h('tr', {}, h('th', {}, 'macro F1'), h('td', { class: 'num', colspan: 3 }, macro_f1.toFixed(4)), h('td', {})))));
  }

  items(set, data, view) {
    const pages = Math.ceil(data.matching / 50);
    const one = view.label >= 0;
    const turn = (to, text) => h('a', { href: address({ page: to || null }), class: to < 0 || to >= pages ? 'off' : null }, text);
    return h('div', { class: 'items' }, h('h2', {}, one ? `${view.classes[view.label]} called ${view.classes[view.prediction]}` : view.all ? 'All items' : 'Misclassified', h('span', { class: 'faint' }, ` ${data.matching}`)),
      h('p', { class: 'chips' }, one && h('a', { class: 'chip', href: address({ label: null, pred: null, page: null, all: null }) }, 'all mistakes'), !one && h('a', { class: 'chip', href: address({ all: !view.all, page: null }) }, view.all ? 'mistakes only' : 'right ones too')),
      h('ol', { start: view.page * 50 + 1 }, data.items.map(item => h('li', { class: item.label === item.prediction ? 'right' : null },
        h('div', { class: 'verdict' }, h('span', { class: 'was' }, item.label || '(no label)'), ' → ', h('span', { class: 'said' }, item.prediction), typeof item.confidence === 'number' && h('span', { class: 'faint' }, ` ${(100 * item.confidence).toFixed(1)} %`)),
        h('blockquote', {}, item.text || h('span', { class: 'faint' }, 'no transcript')),
        item.audio && h('audio', { controls: true, preload: 'none', src: audioUrl(this.id, set, item.row), title: item.audio, onerror: event => { event.target.replaceWith(h('span', { class: 'faint' }, 'its recording cannot be played')); } })))),
      pages > 1 && h('p', { class: 'pages' }, turn(view.page - 1, '← before'), ` ${view.page + 1} of ${pages} `, turn(view.page + 1, 'more →')));
  }

  key(event) {
    const names = Object.keys(tabs);
    if (event.key === '[' || event.key === ']') {
      const at = (names.indexOf(this.tab) + (event.key === ']' ? 1 : names.length - 1)) % names.length;
      go({ tab: at === 0 ? null : names[at] });
      return true;
    }
    if (event.key === 'x') {
      selection.toggle(this.id);
      this.drawHead();
      return true;
    }
    return false;
  }
}

/** Figures as curves, by kind. */
const shapes = {
  roc: data => ({ title: 'ROC', x: 'false positive rate', curves: [...data.curves.map(curve => ({ x: curve.fpr, y: curve.tpr, label: `${curve.class} (area ${number(curve.auc)})` })), { x: [0, 1], y: [0, 1], label: 'chance', plain: true }] }),
  pr: data => ({ title: 'Precision and recall', x: 'recall', curves: data.curves.map(curve => ({ x: curve.recall, y: curve.precision, label: `${curve.class} (average ${number(curve.average_precision)})` })) }),
  calibration: data => {
    const bins = data.bins.filter(bin => bin.count > 0);
    return { title: 'Calibration', x: 'confidence', note: `expected error ${number(data.ece)}, greatest ${number(data.mce)}`, curves: [{ x: bins.map(bin => bin.confidence), y: bins.map(bin => bin.accuracy), label: 'accuracy' }, { x: [0, 1], y: [0, 1], label: 'well calibrated', plain: true }] };
  },
  confusion_matrix: data => ({ matrix: data }),
};

/** Points in the order of x: a curve of precision is written from the right. */
function ascending(curve) {
  const order = curve.x.map((_, i) => i).sort((a, b) => curve.x[a] - curve.x[b] || a - b);
  return { ...curve, x: order.map(i => curve.x[i]), y: order.map(i => curve.y[i]) };
}

/** Arrays of JSON as typed arrays, null as NaN. */
const floats = ({ x, y }) => ({ x: Float64Array.from(x), y: Float64Array.from(y, value => value ?? NaN) });
