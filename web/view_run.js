// One run: what it is, what it reached, what it got wrong, and what it said.

import { ask, latest } from './api.js';
import { CurveChart } from './curve_chart.js';
import { h, panel, replace, saveButtons } from './dom.js';
import { colour } from './format.js';
import { ascending, shapes } from './run_figures.js';
import { codeAndModel, configuration, overview } from './run_overview.js';
import { confusionMatrix, predictions } from './run_predictions.js';
import { address, current, go, selection } from './state.js';

const tabs = {
  overview: 'Overview',
  curves: 'Curves',
  predictions: 'Predictions',
  figures: 'Figures',
  config: 'Configuration',
  console: 'Console',
  system: 'System',
  code: 'Code and model',
};
const liveTabs = ['curves', 'console', 'system'];

/** Arrays of JSON as typed arrays, null as NaN. */
const floats = ({ x, y }) => ({ x: Float64Array.from(x), y: Float64Array.from(y, (value) => value ?? NaN) });
const note = (text) => h('p', { class: 'note' }, text);

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
    this.charts.forEach((chart) => chart.destroy());
    this.charts = [];
    this.lastLine = null;
  }
  themed() {
    this.charts.forEach((chart) => chart.repaint());
  }

  async update(state) {
    this.id = Number(state.text('run'));
    try {
      this.run = await this.fetch((signal) => ask('run', { id: this.id }, signal));
    } catch (error) {
      replace(this.head, h('p', { class: 'note' }, error.message));
      return;
    }
    if (this.gone) return;
    this.drawHead();
    const tab = tabs[state.text('tab')] ? state.text('tab') : 'overview';
    this.drawTabs(tab);
    const shown = ['set', 'label', 'pred', 'page', 'all'].map((name) => state.text(name));
    const key = JSON.stringify([tab, ...shown]);
    const same = key === this.shownKey;
    if (same && tab === this.tab && liveTabs.includes(tab)) return this[`more_${tab}`]();
    if (same && tab === 'predictions') return undefined; // a playing recording is not cut off
    this.shownKey = key;
    this.tab = tab;
    this.clear();
    return this[tab](state);
  }
  news(news) {
    if (news.everything || news.runs.includes(this.id)) this.update(current());
  }

  drawTabs(shown) {
    const tab = ([name, title]) =>
      h('a', {
        href: address({ tab: name === 'overview' ? null : name }),
        'aria-current': name === shown ? 'page' : null,
      }, title);
    replace(this.tabs, Object.entries(tabs).map(tab));
  }

  drawHead() {
    const { run } = this;
    const tag = (name) => {
      const href = `#runs?where=${encodeURIComponent(`tag = "${name}"`)}`;
      return h('a', { class: 'tag', href }, name);
    };
    const choose = () => {
      selection.toggle(run.id);
      this.drawHead();
    };
    replace(
      this.head,
      h('h1', {}, h('span', { class: 'faint' }, `${run.id} `), run.name || '(no name)'),
      h('span', { class: `state ${run.state}` }, run.died ? 'died' : run.state),
      run.tags.map(tag),
      h('button', { type: 'button', onclick: choose }, selection.has(run.id) ? 'chosen ✓' : 'choose'),
    );
  }

  overview() {
    replace(this.body, overview(this.run));
  }
  config() {
    replace(this.body, configuration(this.run));
  }
  code() {
    replace(this.body, codeAndModel(this.run));
  }
  async predictions(state) {
    const page = await predictions(this.run, state);
    if (!this.gone && this.tab === 'predictions') replace(this.body, page);
  }

  /** A chart that goes with the tab. */
  chart(options) {
    const chart = new CurveChart(options);
    this.charts.push(chart);
    return chart;
  }

  // Curves of this run alone.
  async curves() {
    const box = h('div', { class: 'grid' });
    replace(this.body, box);
    this.panels = [];
    for (const metric of this.run.summaries.filter((summary) => summary.count > 1).slice(0, 40)) {
      const chart = this.chart({ title: metric.name, xName: () => 'step', height: () => 220 });
      this.panels.push({ chart, metric: metric.name });
      box.append(panel(metric.name, saveButtons((kind) => chart.export(kind)), chart.element));
    }
    if (!this.panels.length) replace(box, note('No metric has more than one value.'));
    await this.more_curves();
  }
  async more_curves() {
    for (const { chart, metric } of this.panels) {
      const data = await ask('curves', { metric, ids: this.id, buckets: 600 });
      if (this.gone || this.tab !== 'curves') return;
      chart.set({
        curves: data.curves.map((curve) => ({ ...floats(curve), label: metric, colour: colour(0) })),
      });
    }
  }

  async system() {
    const box = h('div', { class: 'grid' });
    replace(this.body, box);
    this.systemBox = box;
    this.systemCharts = new Map();
    await this.more_system();
    if (!this.systemCharts.size) replace(box, note('Nothing was measured of the machine.'));
  }
  async more_system() {
    const data = await ask('system', { id: this.id, buckets: 600 });
    if (this.gone || this.tab !== 'system') return;
    data.curves.forEach((curve, i) => {
      const chart = this.systemCharts.get(curve.name) ?? this.addSystemChart(curve.name);
      chart.set({ curves: [{ ...floats(curve), label: curve.name, colour: colour(i) }] });
    });
  }
  addSystemChart(name) {
    const chart = this.chart({ title: name, xName: () => 'seconds', height: () => 200 });
    this.systemCharts.set(name, chart);
    this.systemBox.append(panel(name, null, chart.element));
    return chart;
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
    this.lines.append(lines.map((line) => line.text).join('\n') + '\n');
    if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }

  async figures() {
    const { figures } = await ask('figures', { id: this.id });
    if (this.gone || this.tab !== 'figures') return;
    const box = h('div', { class: 'grid' });
    const none = 'Labelled rows were never evaluated, so there is no figure.';
    replace(this.body, figures.length ? box : note(none));
    for (const { kind, data } of figures) {
      const shape = shapes[kind]?.(data);
      if (!shape) continue;
      if (shape.matrix) {
        box.append(panel(`Confusion matrix, ${data.stage}`, null, confusionMatrix(shape.matrix)));
      } else this.drawFigure(box, kind, shape, data.stage);
    }
  }
  drawFigure(box, kind, shape, stage) {
    const title = `${shape.title}, ${stage}`;
    const chart = this.chart({ title, xName: () => shape.x, height: () => 260 });
    const beside = [h('span', { class: 'faint' }, shape.note ?? ''), saveButtons((to) => chart.export(to))];
    const figure = panel(title, beside, chart.element);
    figure.dataset.kind = kind;
    box.append(figure);
    const curve = (each, i) => ({
      ...floats(ascending(each)),
      label: each.label,
      colour: each.plain ? '#8d99a8' : colour(i),
    });
    chart.set({ curves: shape.curves.map(curve) });
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
