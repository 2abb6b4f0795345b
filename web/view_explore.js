// Hyper-parameters against a metric: parallel coordinates and a scatter plot over the runs that match.

import { ask, latest } from './api.js';
import { Axis } from './axis.js';
import { h, panel, picker, popover, replace, saveButtons, select } from './dom.js';
import { FilterBox } from './filter_box.js';
import { number } from './format.js';
import { axes, fit, font, save, theme } from './paint.js';
import { current, go } from './state.js';

const most = 10000;

export class ExploreView {
  constructor(parent) {
    this.fetch = latest();
    this.filter = new FilterBox();
    this.tools = h('div', { class: 'tools' });
    this.parallel = h('canvas', { role: 'img', 'aria-label': 'Parallel coordinates' });
    this.brushes = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    this.scatter = h('canvas', { role: 'img', 'aria-label': 'Scatter plot' });
    this.tip = h('div', { class: 'tip', hidden: true });
    this.status = h('span', { class: 'faint' });
    this.parallelBox = h('div', { class: 'plot parallel' }, this.parallel, this.brushes);
    this.scatterBox = h('div', { class: 'plot' }, this.scatter, this.tip);
    this.ranges = new Map(); // what the brushes let through, by field
    this.scatterTools = h('span', { class: 'tools' });
    const buttons = (name, box, paint) =>
      saveButtons((kind) => save(name, kind, box.clientWidth, box.clientHeight, paint));
    const hint = h('span', { class: 'faint' }, 'drag along an axis to choose a range');
    const saveParallel = buttons('parallel', this.parallelBox, (context) => this.paintParallel(context));
    const saveScatter = buttons('scatter', this.scatterBox, (context) => this.paintScatter(context));
    this.element = h(
      'section',
      { class: 'curves' },
      h('div', { class: 'toolbar' }, this.filter.element, this.tools),
      h('div', { class: 'legend' }, this.status),
      panel('Parallel coordinates', [hint, saveParallel], this.parallelBox),
      panel('Scatter', [this.scatterTools, saveScatter], this.scatterBox),
    );
    parent.append(this.element);
    this.listen();
  }
  listen() {
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    this.scatter.addEventListener('pointermove', (event) => this.point(event));
    this.scatter.addEventListener('pointerleave', () => {
      this.tip.hidden = true;
    });
    this.scatter.addEventListener('click', (event) => {
      const i = this.near(event);
      if (i >= 0) go({ run: this.data.ids[i] }, { view: 'run' });
    });
  }
  destroy() {
    this.gone = true;
    this.observer.disconnect();
  }
  themed() {
    this.draw();
  }

  async update(state) {
    this.filter.update(state);
    this.fields ??= await ask('fields');
    this.choose(state);
    this.drawTools();
    if (!this.metric) {
      this.status.textContent = 'No metric has been logged yet.';
      return;
    }
    try {
      this.data = await this.fetch((signal) => ask('points', this.question(state), signal));
      this.filter.show(null);
    } catch (error) {
      this.filter.show(error);
      return;
    }
    if (this.gone) return;
    this.axes = new Map(
      Object.entries(this.data.values).map(([name, values]) => [name, new Axis(name, values)]),
    );
    this.colours = this.colouring();
    const reached = (i) => this.axes.get(this.metric).values[i] || 0;
    this.order = d3.range(this.data.ids.length).sort((a, b) => reached(a) - reached(b));
    this.draw();
  }

  /** The metric and the axes: those of the address, else the ones most asked for. */
  choose(state) {
    const { metrics, varying } = this.fields;
    const score = (stage) => metrics.find((name) => new RegExp(`^${stage}_.*(f1|acc)`, 'i').test(name));
    this.metric = state.text('by') || score('test') || score('val') || metrics[0];
    const places = /(^|\.)(dir|path|name|_target_)$|run_name|manifest/;
    const usual = varying.filter((name) => !places.test(name)).slice(0, 6);
    const chosen = state.list('axis');
    this.names = chosen.length ? chosen : [...usual, this.metric].filter(Boolean);
    this.x = state.text('sx') || this.names.find((name) => name !== this.metric) || this.metric;
    this.y = state.text('sy') || this.metric;
  }

  question(state) {
    const column = [...new Set([...this.names, this.metric, this.x, this.y])];
    return { where: state.text('where'), sort: state.text('sort', 'id:desc'), column, limit: most };
  }

  colouring() {
    const axis = this.axes.get(this.metric);
    if (!axis.numeric) return () => theme().accent;
    // The middle of viridis: its ends are lost on white or on black.
    const scale = d3.scaleSequential((t) => d3.interpolateViridis(0.12 + 0.74 * t)).domain(axis.domain);
    return (i) => (Number.isFinite(axis.values[i]) ? scale(axis.values[i]) : theme().faint);
  }

  drawTools() {
    const { metrics, varying, fields, keys } = this.fields;
    const names = [...metrics, ...varying, ...fields];
    const choice = (label, key, value) => {
      const options = [...new Set([value, ...names])].filter(Boolean);
      return select(label, options, value, (text) => go({ [key]: text }));
    };
    const key = JSON.stringify([this.names, this.metric, this.x, this.y]);
    if (key === this.toolsKey || this.tools.querySelector('.popover:not([hidden])')) return; // not under the hand
    this.toolsKey = key;
    const all = [...new Set([...names, ...keys])];
    const pick = () => picker(all, this.names, (chosen) => go({ axis: chosen }, { quiet: true }));
    replace(this.tools, popover('axes', pick, 'Choose axes'), choice('colour by', 'by', this.metric));
    replace(this.scatterTools, choice('x', 'sx', this.x), choice('y', 'sy', this.y));
  }

  passes(i) {
    for (const [name, [low, high]] of this.ranges) {
      const at = this.places?.get(name)?.[i];
      if (!(at >= low && at <= high)) return false;
    }
    return true;
  }

  draw() {
    if (!this.data || this.gone) return;
    const width = this.parallelBox.clientWidth;
    if (!width) return;
    this.layout(width);
    this.paintParallel(fit(this.parallel, width, this.height), true);
    this.drawBrushes(width);
    this.drawScatter();
    this.countPassing();
  }
  drawScatter() {
    this.scatterBox.style.height = '360px';
    this.paintScatter(fit(this.scatter, this.scatterBox.clientWidth, 360), true);
  }
  countPassing() {
    const { ids, total } = this.data;
    const count = this.ranges.size ? d3.range(ids.length).filter((i) => this.passes(i)).length : ids.length;
    const drawn = total > ids.length ? `, the first ${ids.length} drawn` : '';
    this.status.textContent = `${count} of ${total} runs${drawn}`;
  }

  layout(width) {
    this.height = 340;
    this.parallelBox.style.height = `${this.height}px`;
    const names = this.names.filter((name) => this.axes.has(name));
    this.columns = d3.scalePoint().domain(names).range([70, width - 70]);
    this.scales = new Map(names.map((name) => [name, this.axes.get(name).scale([this.height - 18, 44])]));
    this.places = new Map(names.map((name) => {
      const scale = this.scales.get(name);
      return [
        name,
        this.axes.get(name).values.map(
          (value) => (value === null || Number.isNaN(value) ? NaN : scale(value)),
        ),
      ];
    }));
  }

  paintParallel(context, clear = false) {
    if (clear) context.clearRect(0, 0, this.parallelBox.clientWidth, this.height);
    this.paintLines(context);
    context.font = font;
    for (const name of this.scales.keys()) this.paintAxis(context, name);
  }
  paintLines(context) {
    context.lineWidth = 1;
    const passing = this.order.filter((i) => this.passes(i));
    if (passing.length < this.order.length) {
      context.globalAlpha = 0.12;
      context.strokeStyle = theme().faint;
      for (const i of this.order) if (!this.passes(i)) this.paintLine(context, i);
    }
    context.globalAlpha = Math.max(0.08, Math.min(0.9, 60 / Math.sqrt(passing.length + 1) / 8));
    for (const i of passing) {
      context.strokeStyle = this.colours(i);
      this.paintLine(context, i);
    }
    context.globalAlpha = 1;
  }
  /** One run, from axis to axis; it breaks off where it has no value. */
  paintLine(context, i) {
    context.beginPath();
    let pen = false;
    for (const name of this.scales.keys()) {
      const y = this.places.get(name)[i];
      if (!Number.isNaN(y)) context[pen ? 'lineTo' : 'moveTo'](this.columns(name), y);
      pen = !Number.isNaN(y);
    }
    context.stroke();
  }
  paintAxis(context, name) {
    const colours = theme();
    const x = Math.round(this.columns(name)) + 0.5, axis = this.axes.get(name), scale = this.scales.get(name);
    context.strokeStyle = colours.faint;
    context.beginPath();
    context.moveTo(x, 40);
    context.lineTo(x, this.height - 14);
    context.stroke();
    context.fillStyle = colours.ink;
    context.textAlign = 'center';
    context.textBaseline = 'alphabetic';
    context.fillText(short(name), x, 26);
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    for (const tick of axis.ticks(scale, 6)) {
      const text = short(axis.text(tick), 16);
      context.fillStyle = colours.ground;
      context.globalAlpha = 0.75;
      context.fillRect(x + 3, scale(tick) - 7, context.measureText(text).width + 6, 14);
      context.globalAlpha = 1;
      context.fillStyle = colours.faint;
      context.fillText(text, x + 6, scale(tick));
    }
  }

  drawBrushes(width) {
    const key = JSON.stringify([[...this.scales.keys()], width]);
    if (key === this.brushKey) return;
    this.brushKey = key;
    this.ranges.clear();
    const svg = d3.select(this.brushes).attr('width', width).attr('height', this.height);
    svg.selectAll('*').remove();
    for (const name of this.scales.keys()) {
      const brush = d3.brushY().extent([[-10, 36], [10, this.height - 12]]).on('brush end', () => {
        if (d3.event.selection) this.ranges.set(name, d3.event.selection);
        else this.ranges.delete(name);
        this.paintParallel(fit(this.parallel, width, this.height), true);
        this.drawScatter();
        this.countPassing();
      });
      svg.append('g').attr('transform', `translate(${this.columns(name)},0)`).call(brush);
    }
  }

  scatterArea() {
    return { left: 64, top: 12, width: this.scatterBox.clientWidth - 84, height: 300 };
  }

  paintScatter(context, clear = false) {
    const area = this.scatterArea();
    const xAxis = this.axes.get(this.x), yAxis = this.axes.get(this.y);
    if (!xAxis || !yAxis || area.width < 20) return;
    if (clear) context.clearRect(0, 0, this.scatterBox.clientWidth, 360);
    const x = xAxis.scale([area.left + 8, area.left + area.width - 8]);
    const y = yAxis.scale([area.top + area.height - 8, area.top + 8]);
    const gridded = (axis) => axis.numeric && !axis.few;
    if (gridded(xAxis) && gridded(yAxis)) {
      axes(context, area, x, y, { xLog: xAxis.log, yLog: yAxis.log, xName: this.x });
    } else {
      this.namedAxes(context, area, { axis: xAxis, scale: x }, { axis: yAxis, scale: y });
    }
    this.paintPoints(context, xAxis.values.map((value) => x(value)), yAxis.values.map((value) => y(value)));
  }
  paintPoints(context, xs, ys) {
    this.points = [];
    const size = this.data.ids.length > 2000 ? 2 : 4;
    context.globalAlpha = this.data.ids.length > 500 ? 0.6 : 0.9;
    for (const i of this.order) {
      const px = xs[i], py = ys[i];
      if (!Number.isFinite(px) || !Number.isFinite(py) || !this.passes(i)) continue;
      this.points.push([px, py, i]);
      context.fillStyle = this.colours(i);
      context.beginPath();
      context.arc(px, py, size, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
    this.tree = d3.quadtree(this.points);
  }

  namedAxes(context, area, x, y) {
    const colours = theme();
    const bottom = area.top + area.height;
    const yTicks = y.axis.ticks(y.scale, 8);
    context.font = font;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.faint;
    context.beginPath();
    for (const tick of yTicks) {
      const at = Math.round(y.scale(tick)) + 0.5;
      context.moveTo(area.left, at);
      context.lineTo(area.left + area.width, at);
    }
    context.stroke();
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const tick of yTicks) context.fillText(short(y.axis.text(tick), 9), area.left - 6, y.scale(tick));
    context.textAlign = 'center';
    context.textBaseline = 'top';
    for (const tick of x.axis.ticks(x.scale, 8)) {
      context.fillText(short(x.axis.text(tick), 14), x.scale(tick), bottom + 6);
    }
    context.textAlign = 'right';
    context.fillText(this.x, area.left + area.width, bottom + 19);
  }

  near(event) {
    const box = this.scatter.getBoundingClientRect();
    const found = this.tree?.find(event.clientX - box.left, event.clientY - box.top, 14);
    return found ? found[2] : -1;
  }
  point(event) {
    const i = this.near(event);
    this.tip.hidden = i < 0;
    this.scatter.style.cursor = i < 0 ? '' : 'pointer';
    if (i < 0) return;
    const { ids, names, values } = this.data;
    const value = (name) => h('div', {}, h('span', { class: 'faint' }, `${name} `), number(values[name][i]));
    const title = h('div', {}, h('b', {}, `${ids[i]} ${names[i]}`));
    replace(this.tip, title, [...new Set([this.x, this.y, this.metric])].map(value));
    const at = event.clientX - this.scatter.getBoundingClientRect().left;
    const left = at > this.scatterBox.clientWidth / 2;
    this.tip.style.left = left ? '' : `${at + 14}px`;
    this.tip.style.right = left ? `${this.scatterBox.clientWidth - at + 14}px` : '';
  }

  news() {
    clearTimeout(this.later); // thousands of points need not follow each value
    this.later = setTimeout(() => {
      if (!this.gone) this.update(current());
    }, 2000);
  }
}

const short = (text, most = 22) => (text.length > most ? `…${text.slice(1 - most)}` : text);
