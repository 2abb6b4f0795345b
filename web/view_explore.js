// Hyper-parameters against a metric: parallel coordinates and a scatter plot over the runs that match.

import { ask, latest } from './api.js';
import { h, picker, popover, replace, select } from './dom.js';
import { FilterBox } from './filter_box.js';
import { number } from './format.js';
import { axes, fit, font, save, theme, tickText } from './paint.js';
import { current, go } from './state.js';

const most = 10000;

/** Values of a field on an axis: numbers (on a logarithm where they span decades) or names. */
class Axis {
  constructor(name, values) {
    this.name = name;
    const known = values.filter(value => value !== null && value !== '');
    const numbers = known.map(Number);
    this.numeric = known.length > 0 && numbers.every(Number.isFinite);
    if (this.numeric) {
      const distinct = [...new Set(numbers)].sort((a, b) => a - b);
      if (distinct.length <= 8) this.few = distinct;  // a choice of settings: those are the ticks
      let low = d3.min(numbers), high = d3.max(numbers);
      this.log = low > 0 && high / low >= 100;
      if (low === high) [low, high] = this.log || low === 0 ? [low - 1, high + 1] : [low * 0.9, high * 1.1].sort((a, b) => a - b);
      this.domain = [low, high];
      this.values = values.map(value => (value === null || value === '' ? NaN : Number(value)));
    } else {
      this.names = [...new Set(known.map(String))].sort();
      this.domain = this.names;
      this.values = values.map(value => (value === null ? null : String(value)));
    }
  }
  scale(range) {
    if (!this.numeric) return d3.scalePoint().domain(this.names).range(range).padding(0.5);
    return (this.log ? d3.scaleLog() : d3.scaleLinear()).domain(this.domain).range(range);
  }
  ticks(scale, count) {
    if (!this.numeric) return this.names.length > 2 * count ? this.names.filter((_, i) => i % Math.ceil(this.names.length / count / 2) === 0) : this.names;
    if (this.few) return this.few;
    const ticks = scale.ticks(count);
    return this.log ? ticks.filter(tick => Math.abs(Math.log10(tick) % 1) < 1e-9) : ticks;
  }
  text(value) { return this.numeric ? tickText(value) : String(value); }
}

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
    this.ranges = new Map();  // what the brushes let through, by field
    const buttons = (name, paint, box) => h('span', { class: 'buttons' }, ['png', 'svg'].map(kind => h('button', { type: 'button', onclick: () => save(name, kind, box.clientWidth, box.clientHeight, paint) }, kind.toUpperCase())));
    this.element = h('section', { class: 'curves' }, h('div', { class: 'toolbar' }, this.filter.element, this.tools), h('div', { class: 'legend' }, this.status),
      h('article', { class: 'panel' }, h('header', {}, h('h2', {}, 'Parallel coordinates'), h('span', { class: 'faint' }, 'drag along an axis to choose a range'), buttons('parallel', context => this.paintParallel(context), this.parallelBox)), this.parallelBox),
      h('article', { class: 'panel' }, h('header', {}, h('h2', {}, 'Scatter'), this.scatterTools = h('span', { class: 'tools' }), buttons('scatter', context => this.paintScatter(context), this.scatterBox)), this.scatterBox));
    parent.append(this.element);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    this.scatter.addEventListener('pointermove', event => this.point(event));
    this.scatter.addEventListener('pointerleave', () => { this.tip.hidden = true; });
    this.scatter.addEventListener('click', event => {
      const i = this.near(event);
      if (i >= 0) go({ run: this.data.ids[i] }, { view: 'run' });
    });
  }
  destroy() {
    this.gone = true;
    this.observer.disconnect();
  }
  themed() { this.draw(); }

  async update(state) {
    this.filter.update(state);
    this.fields ??= await ask('fields');
    const metrics = this.fields.metrics;
    this.metric = state.text('by') || metrics.find(name => /^test_.*(f1|acc)/i.test(name)) || metrics.find(name => /^val_.*(f1|acc)/i.test(name)) || metrics[0];
    const usual = this.fields.varying.filter(name => !/(^|\.)(dir|path|name|_target_)$|run_name|manifest/.test(name)).slice(0, 6);
    this.names = state.list('axis').length ? state.list('axis') : [...usual, this.metric].filter(Boolean);
    this.x = state.text('sx') || this.names.find(name => name !== this.metric) || this.metric;
    this.y = state.text('sy') || this.metric;
    this.drawTools();
    if (!this.metric) {
      this.status.textContent = 'No metric has been logged yet.';
      return;
    }
    try {
      const columns = [...new Set([...this.names, this.metric, this.x, this.y])];
      this.data = await this.fetch(signal => ask('points', { where: state.text('where'), sort: state.text('sort', 'id:desc'), column: columns, limit: most }, signal));
      this.filter.show(null);
    } catch (error) {
      this.filter.show(error);
      return;
    }
    if (this.gone) return;
    this.axes = new Map(Object.entries(this.data.values).map(([name, values]) => [name, new Axis(name, values)]));
    this.colours = this.colouring();
    this.order = d3.range(this.data.ids.length).sort((a, b) => (this.axes.get(this.metric).values[a] || 0) - (this.axes.get(this.metric).values[b] || 0));
    this.draw();
  }

  colouring() {
    const axis = this.axes.get(this.metric);
    if (!axis.numeric) return () => theme().accent;
    // The middle of viridis: its ends are lost on white or on black.
    const scale = d3.scaleSequential(t => d3.interpolateViridis(0.12 + 0.74 * t)).domain(axis.domain);
    return i => (Number.isFinite(axis.values[i]) ? scale(axis.values[i]) : theme().faint);
  }

  drawTools() {
    const names = [...this.fields.metrics, ...this.fields.varying, ...this.fields.fields];
    const choice = (label, key, value) => select(label, [...new Set([value, ...names])].filter(Boolean), value, text => go({ [key]: text }));
    const key = JSON.stringify([this.names, this.metric, this.x, this.y]);
    if (key === this.toolsKey || this.tools.querySelector('.popover:not([hidden])')) return;  // not under the hand
    this.toolsKey = key;
    const all = [...new Set([...this.fields.metrics, ...this.fields.varying, ...this.fields.fields, ...this.fields.keys])];
    replace(this.tools, popover('axes', () => picker(all, this.names, chosen => go({ axis: chosen }, { quiet: true })), 'Choose axes'), choice('colour by', 'by', this.metric));
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
    const count = this.ranges.size ? d3.range(this.data.ids.length).filter(i => this.passes(i)).length : this.data.ids.length;
    this.status.textContent = `${count} of ${this.data.total} runs${this.data.total > this.data.ids.length ? `, the first ${this.data.ids.length} drawn` : ''}`;
  }

  layout(width) {
    this.height = 340;
    this.parallelBox.style.height = `${this.height}px`;
    const names = this.names.filter(name => this.axes.has(name));
    this.columns = d3.scalePoint().domain(names).range([70, width - 70]);
    this.scales = new Map(names.map(name => [name, this.axes.get(name).scale([this.height - 18, 44])]));
    this.places = new Map(names.map(name => {
      const scale = this.scales.get(name);
      return [name, this.axes.get(name).values.map(value => (value === null || Number.isNaN(value) ? NaN : scale(value)))];
    }));
  }

  paintParallel(context, clear = false) {
    const colours = theme();
    const names = [...this.scales.keys()];
    if (clear) context.clearRect(0, 0, this.parallelBox.clientWidth, this.height);
    context.lineWidth = 1;
    const line = i => {
      context.beginPath();
      let pen = false;
      for (const name of names) {
        const y = this.places.get(name)[i];
        if (Number.isNaN(y)) pen = false;
        else {
          context[pen ? 'lineTo' : 'moveTo'](this.columns(name), y);
          pen = true;
        }
      }
      context.stroke();
    };
    const passing = this.order.filter(i => this.passes(i));
    if (passing.length < this.order.length) {
      context.globalAlpha = 0.12;
      context.strokeStyle = colours.faint;
      this.order.forEach(i => { if (!this.passes(i)) line(i); });
    }
    context.globalAlpha = Math.max(0.08, Math.min(0.9, 60 / Math.sqrt(passing.length + 1) / 8));
    for (const i of passing) {
      context.strokeStyle = this.colours(i);
      line(i);
    }
    context.globalAlpha = 1;
    context.font = font;
    for (const name of names) {
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

  scatterArea() { return { left: 64, top: 12, width: this.scatterBox.clientWidth - 84, height: 300 }; }

  paintScatter(context, clear = false) {
    const area = this.scatterArea();
    const xAxis = this.axes.get(this.x), yAxis = this.axes.get(this.y);
    if (!xAxis || !yAxis || area.width < 20) return;
    if (clear) context.clearRect(0, 0, this.scatterBox.clientWidth, 360);
    const x = xAxis.scale([area.left + 8, area.left + area.width - 8]), y = yAxis.scale([area.top + area.height - 8, area.top + 8]);
    const named = (scale, axis) => Object.assign(value => scale(value), { ticks: count => axis.ticks(scale, count) });
    if (xAxis.numeric && yAxis.numeric && !xAxis.few && !yAxis.few) axes(context, area, x, y, { xLog: xAxis.log, yLog: yAxis.log, xName: this.x });
    else this.namedAxes(context, area, named(x, xAxis), named(y, yAxis), xAxis, yAxis);
    this.points = [];
    const size = this.data.ids.length > 2000 ? 2 : 4;
    context.globalAlpha = this.data.ids.length > 500 ? 0.6 : 0.9;
    for (const i of this.order) {
      const px = x(xAxis.values[i]), py = y(yAxis.values[i]);
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

  namedAxes(context, area, x, y, xAxis, yAxis) {
    const colours = theme();
    const bottom = area.top + area.height;
    context.font = font;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.faint;
    context.beginPath();
    for (const tick of y.ticks(8)) {
      context.moveTo(area.left, Math.round(y(tick)) + 0.5);
      context.lineTo(area.left + area.width, Math.round(y(tick)) + 0.5);
    }
    context.stroke();
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const tick of y.ticks(8)) context.fillText(short(yAxis.text(tick), 9), area.left - 6, y(tick));
    context.textAlign = 'center';
    context.textBaseline = 'top';
    for (const tick of x.ticks(8)) context.fillText(short(xAxis.text(tick), 14), x(tick), bottom + 6);
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
    const names = [...new Set([this.x, this.y, this.metric])];
    replace(this.tip, h('div', {}, h('b', {}, `${this.data.ids[i]} ${this.data.names[i]}`)), names.map(name => h('div', {}, h('span', { class: 'faint' }, `${name} `), number(this.data.values[name][i]))));
    const at = event.clientX - this.scatter.getBoundingClientRect().left;
    const left = at > this.scatterBox.clientWidth / 2;
    this.tip.style.left = left ? '' : `${at + 14}px`;
    this.tip.style.right = left ? `${this.scatterBox.clientWidth - at + 14}px` : '';
  }

  news() {
    clearTimeout(this.later);  // thousands of points need not follow each value
    this.later = setTimeout(() => { if (!this.gone) this.update(current()); }, 2000);
  }
}

const short = (text, most = 22) => (text.length > most ? `…${text.slice(1 - most)}` : text);
