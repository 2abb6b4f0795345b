// Curves of chosen runs, one chart a metric; runs of one setting as a band.

import { ask, askCurves, latest } from './api.js';
import { CurveChart } from './curve_chart.js';
import { debounced, h, picker, popover, replace, select } from './dom.js';
import { FilterBox } from './filter_box.js';
import { colour } from './format.js';
import { current, go } from './state.js';

const firstRuns = 10; // drawn where none is chosen

/** A chart with its title, its buttons and its own questions to the server. */
class Panel {
  constructor(metric, view) {
    this.metric = metric;
    this.view = view;
    this.fetch = latest();
    this.window = null;
    this.note = h('span', { class: 'faint' });
    this.chart = new CurveChart({
      title: metric,
      xName: () => ({ time: 'seconds', epoch: 'epoch' })[view.settings.x] ?? 'step',
      height: () => (view.settings.wide ? 460 : 250),
      onwindow: (window) => {
        this.window = window;
        this.load();
      },
    });
    this.element = h(
      'article',
      { class: 'panel', dataset: { metric } },
      h(
        'header',
        {},
        h('h2', { title: metric }, metric),
        this.note,
        h(
          'span',
          { class: 'buttons' },
          h('button', { type: 'button', title: 'all of x (0)', onclick: () => this.chart.reset() }, '⤢'),
          h('button', {
            type: 'button',
            title: 'save as PNG',
            onclick: () => this.chart.export('png'),
          }, 'PNG'),
          h(
            'button',
            { type: 'button', title: 'save as SVG', onclick: () => this.chart.export('svg') },
            'SVG',
          ),
        ),
      ),
      this.chart.element,
    );
    this.near = false;
    // Only charts in sight ask.
    this.observer = new IntersectionObserver((entries) => {
      this.near = entries.some((entry) => entry.isIntersecting);
      if (this.near && this.stale) this.load();
    }, { rootMargin: '200px' });
    this.observer.observe(this.element);
    this.stale = true;
  }
  destroy() {
    this.observer.disconnect();
    this.chart.destroy();
    this.element.remove();
  }
  refresh() {
    this.stale = true;
    if (this.near) this.load();
  }

  async load() {
    this.stale = false;
    const { settings, runs } = this.view;
    const common = {
      metric: this.metric,
      ids: runs.join(','),
      x: settings.x,
      smooth: settings.smooth || null,
    };
    const buckets = Math.round(Math.max(300, this.chart.width || 600));
    const ask = (extra, signal) => askCurves({ ...common, ...extra }, signal);
    const detail = this.window &&
      {
        from: 2 * this.window.from - this.window.to,
        to: 2 * this.window.to - this.window.from,
        buckets: 3 * buckets,
      };
    try {
      const bands = settings.band ? { bands: 1, group: settings.band } : {};
      const data = await this.fetch((signal) => ask({ buckets, ...detail, ...bands }, signal));
      this.show(data);
    } catch (error) {
      this.note.textContent = error.message;
    }
  }

  show(data) {
    const { view } = this;
    const curves = (data.curves ?? []).map((curve) => ({
      ...curve,
      label: `${curve.id} ${curve.name}`,
      colour: view.colourOf(curve.id),
    }));
    const bands = (data.bands ?? []).map((band) => ({
      ...band,
      label: `${band.group || '(none)'} · ${band.runs.length} runs`,
      colour: view.bandColour(band),
    }));
    this.note.textContent = curves.length + bands.length === 0 ? 'no values' : '';
    this.count = curves.reduce((sum, curve) => sum + curve.points, 0);
    // A part of x was asked for: the extent stays that of all.
    const extent = this.window && this.chart.extent;
    this.chart.set({ curves, bands }, { xLog: this.view.settings.logx, yLog: this.view.settings.logy });
    if (extent) this.chart.extent = extent;
    this.element.dataset.ready = '1';
  }
}

export class CurvesView {
  constructor(parent) {
    this.panels = new Map();
    this.runs = [];
    this.settings = {};
    this.groups = [];
    this.fetchIds = latest();
    this.filter = new FilterBox();
    this.tools = h('div', { class: 'tools' });
    this.legend = h('div', { class: 'legend' });
    this.grid = h('div', { class: 'grid' });
    this.element = h(
      'section',
      { class: 'curves' },
      h('div', { class: 'toolbar' }, this.filter.element, this.tools),
      this.legend,
      this.grid,
    );
    parent.append(this.element);
  }
  destroy() {
    this.gone = true;
    for (const panel of this.panels.values()) panel.destroy();
  }
  themed() {
    for (const panel of this.panels.values()) panel.chart.repaint();
  }

  /** One colour a group in all charts; the legend learns of the group. */
  bandColour({ group, runs }) {
    let place = this.groups.findIndex((known) => known.group === group);
    if (place < 0) {
      place = this.groups.push({ group, runs: runs.length }) - 1;
      if (place < 24) {
        this.legend.append(
          h(
            'span',
            {},
            h('i', { style: { background: colour(place) } }),
            ` ${group || '(none)'} · ${runs.length}`,
          ),
        );
      }
    }
    return colour(place);
  }
  colourOf(id) {
    return colour(Math.max(0, this.runs.indexOf(id)));
  }

  async update(state) {
    this.filter.update(state);
    this.fields ??= await ask('fields');
    this.settings = {
      x: state.text('x', 'step'),
      smooth: state.number('smooth', 0),
      logx: state.flag('logx'),
      logy: state.flag('logy'),
      band: state.text('band'),
      wide: state.flag('wide'),
    };
    this.drawTools();
    let heads;
    try {
      const chosen = state.ids('sel');
      heads = await this.fetchIds((signal) =>
        ask(
          'points',
          chosen.length
            ? { where: `id = ${chosen.join(' or id = ')}`, limit: 10000 }
            : { where: state.text('where'), sort: state.text('sort', 'id:desc'), limit: firstRuns },
          signal,
        )
      );
      if (chosen.length) sortBy(heads, chosen);
      this.filter.show(null);
    } catch (error) {
      this.filter.show(error);
      return;
    }
    if (this.gone) return;
    this.runs = heads.ids;
    this.drawLegend(heads, state);
    const named = state.list('metric');
    this.drawPanels(named.length ? named : this.usual());
  }

  /** Metrics that say how training goes, where none is asked for. */
  usual() {
    const all = this.fields.metrics;
    const curves = all.filter((name) =>
      /^(train|val)/.test(name) || (/loss|lr/.test(name) && !name.startsWith('test_'))
    );
    return (curves.length ? curves : all).slice(0, 12);
  }

  drawPanels(metrics) {
    for (const [metric, panel] of this.panels) {
      if (metrics.includes(metric)) continue;
      panel.destroy();
      this.panels.delete(metric);
    }
    this.grid.classList.toggle('wide', this.settings.wide || metrics.length === 1);
    metrics.forEach((metric) => {
      if (!this.panels.has(metric)) this.panels.set(metric, new Panel(metric, this));
      const panel = this.panels.get(metric);
      this.grid.append(panel.element);
      panel.chart.resize();
      panel.refresh();
    });
    if (!metrics.length) replace(this.grid, h('p', { class: 'note' }, 'No metric has been logged yet.'));
  }

  drawLegend(heads, state) {
    const chosen = state.ids('sel').length > 0;
    const most = 24;
    this.groups = [];
    replace(
      this.legend,
      this.settings.band
        ? h('span', { class: 'faint' }, `mean, least and greatest over ${this.settings.band}:`)
        : [
          heads.ids.slice(0, most).map((id, i) =>
            h(
              'a',
              { href: `#run?run=${id}` },
              h('i', { style: { background: colour(i) } }),
              `${id} ${heads.names[i]}`,
            )
          ),
          heads.ids.length > most && h('span', { class: 'faint' }, `and ${heads.ids.length - most} more`),
        ],
      !chosen && heads.total > heads.ids.length &&
        h(
          'span',
          { class: 'faint' },
          `the first ${heads.ids.length} of ${heads.total} runs; choose others in the table`,
        ),
    );
  }

  drawTools() {
    const key = JSON.stringify(this.settings);
    if (key === this.toolsKey || this.tools.querySelector('.popover:not([hidden])')) return; // not under the hand
    this.toolsKey = key;
    const { settings } = this;
    const shown = h('output', {}, settings.smooth ? settings.smooth.toFixed(2) : 'off');
    const apply = debounced((value) => go({ smooth: value || null }, { quiet: true }), 80);
    const slider = h('input', {
      type: 'range',
      min: 0,
      max: 0.99,
      step: 0.01,
      value: settings.smooth,
      'aria-label': 'Smoothing',
      oninput: (event) => {
        shown.textContent = Number(event.target.value) ? Number(event.target.value).toFixed(2) : 'off';
        apply(Number(event.target.value));
      },
    });
    const toggle = (name, text) =>
      h(
        'label',
        { class: 'field' },
        h('input', {
          type: 'checkbox',
          checked: settings[name],
          onchange: (event) => go({ [name]: event.target.checked }, { quiet: true }),
        }),
        text,
      );
    if (!this.tools.contains(document.activeElement) || document.activeElement.type !== 'range') {
      const groups = [
        ['', 'none'],
        ...['name', 'group', 'tag', ...this.fields.varying].map((name) => [name, name]),
      ];
      if (settings.band && !groups.some(([name]) => name === settings.band)) {
        groups.push([settings.band, settings.band]);
      }
      replace(
        this.tools,
        popover('metrics', () =>
          picker(
            this.fields.metrics,
            current().list('metric').length ? current().list('metric') : this.usual(),
            (names) => go({ metric: names }, { quiet: true }),
          ), 'Choose metrics'),
        select(
          'x',
          ['step', 'epoch', ['time', 'time']],
          settings.x,
          (value) => go({ x: value === 'step' ? null : value }),
        ),
        h('label', { class: 'field' }, 'smooth', slider, shown),
        toggle('logx', 'log x'),
        toggle('logy', 'log y'),
        select('bands over', groups, settings.band, (value) => go({ band: value })),
        toggle('wide', 'large'),
      );
    }
  }

  news(news) {
    if (news.everything || news.runs.some((id) => this.runs.includes(id))) {
      for (const panel of this.panels.values()) {
        panel.refresh();
      }
    }
  }
}

function sortBy(heads, order) {
  const names = new Map(heads.ids.map((id, i) => [id, heads.names[i]]));
  heads.ids = order.filter((id) => names.has(id));
  heads.names = heads.ids.map((id) => names.get(id));
}
