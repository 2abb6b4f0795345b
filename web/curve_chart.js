// Overlaid curves that stay smooth to pan whatever their number: they are painted once into a strip
// three screens wide, in slices that leave time for the next frame, and panning moves the strip.

import { h } from './dom.js';
import { number } from './format.js';
import { axes, fit, font, save, theme } from './paint.js';
import { Pixels } from './pixels.js';

const margin = { left: 58, right: 12, top: 10, bottom: 34 };
const sliceTime = 5; // ms of painting a frame
const fewPoints = 20000; // up to so many a canvas strokes them in time

export class CurveChart {
  /** `options`: title, xName, height, onwindow(from, to) after the x range has come to rest. */
  constructor(options) {
    this.options = options;
    this.curves = [];
    this.bands = [];
    this.canvas = h('canvas', {
      tabindex: 0,
      role: 'img',
      'aria-label': `${options.title}: curves. Arrows move, plus and minus zoom, 0 shows all.`,
    });
    this.tip = h('div', { class: 'tip', hidden: true });
    this.element = h('div', { class: 'plot' }, this.canvas, this.tip);
    this.strip = null;
    this.next = null;
    this.view = null;
    this.dirty = false;
    this.follows = true; // the view is all there is, and grows with it
    this.listen();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.element);
  }

  destroy() {
    this.observer.disconnect();
    this.gone = true;
  }

  /** `data`: curves [{id, label, colour, x, y, raw}] and bands [{label, colour, x, mean, low, high}]. */
  set(data, { xLog = false, yLog = false } = {}) {
    Object.assign(this, { curves: data.curves ?? [], bands: data.bands ?? [], xLog, yLog });
    this.extent = this.extentOf();
    if (this.follows || !this.view) this.view = { ...this.extent };
    this.fitY();
    this.repaint();
  }

  extentOf() {
    let low = Infinity, high = -Infinity;
    for (const { x } of [...this.curves, ...this.bands]) {
      let i = 0;
      while (this.xLog && i < x.length && x[i] <= 0) ++i;
      if (i >= x.length) continue;
      low = Math.min(low, x[i]);
      high = Math.max(high, x[x.length - 1]);
    }
    if (!(low <= high)) return { from: this.xLog ? 1 : 0, to: this.xLog ? 10 : 1 };
    if (low === high) {
      return this.xLog ? { from: low / 2, to: high * 2 } : { from: low - 0.5, to: high + 0.5 };
    }
    return { from: low, to: high };
  }

  /** The y range of what the view shows. */
  fitY() {
    let low = Infinity, high = -Infinity;
    const { from, to } = this.view;
    const look = (x, y) => {
      for (let i = bisect(x, from), end = Math.min(x.length, bisect(x, to) + 1); i < end; ++i) {
        const value = y[i];
        if (!(value > -Infinity && value < Infinity) || (this.yLog && value <= 0)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    };
    for (const curve of this.curves) {
      look(curve.x, curve.y);
      if (curve.raw) look(curve.raw.x, curve.raw.y);
    }
    for (const band of this.bands) {
      look(band.x, band.low);
      look(band.x, band.high);
    }
    if (!(low <= high)) [low, high] = this.yLog ? [0.1, 1] : [0, 1];
    if (this.yLog) {
      const room = Math.max(1.05, (high / low) ** 0.05);
      this.y = { low: low / room, high: high * room };
    } else {
      const room = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
      this.y = { low: low - room, high: high + room };
    }
  }

  area(width = this.width, height = this.height) {
    return {
      left: margin.left,
      top: margin.top,
      width: Math.max(10, width - margin.left - margin.right),
      height: Math.max(10, height - margin.top - margin.bottom),
    };
  }
  /** Along x in the scale's own measure: panning and zooming are linear in it. */
  toLine(value) {
    return this.xLog ? Math.log10(Math.max(value, 1e-12)) : value;
  }
  fromLine(value) {
    return this.xLog ? 10 ** value : value;
  }
  scales(area, view = this.view) {
    const x = (this.xLog ? d3.scaleLog() : d3.scaleLinear()).domain([view.from, view.to]).range([
      area.left,
      area.left + area.width,
    ]);
    const y = (this.yLog ? d3.scaleLog() : d3.scaleLinear()).domain([this.y.low, this.y.high]).range([
      area.top + area.height,
      area.top,
    ]);
    return { x, y };
  }

  resize() {
    const width = this.element.clientWidth;
    if (!width) return;
    this.width = width;
    this.height = this.options.height();
    this.element.style.height = `${this.height}px`;
    if (this.view) this.repaint();
  }

  /** Everything anew: data, scale or size are others. */
  repaint() {
    if (!this.width || !this.view) return;
    this.strip = null;
    this.startStrip();
    while (this.next && this.next.todo.length && performance.now() - this.next.begun < 60) this.paintSlice(8);
    if (this.next) this.strip = this.next; // shown as far as it is; the rest follows frame by frame
    this.ask();
  }

  ask() {
    if (this.dirty || this.gone) return;
    this.dirty = true;
    requestAnimationFrame(() => {
      this.dirty = false;
      this.frame();
    });
  }

  frame() {
    if (this.gone || !this.width) return;
    if (this.next && this.next.todo.length) this.paintSlice(sliceTime);
    if (this.next && !this.next.todo.length) {
      this.strip = this.next;
      this.next = null;
    }
    this.draw();
    if (this.next) this.ask();
  }

  // The strip covers the view and one view's width on either side.
  startStrip() {
    const area = this.area();
    const ratio = window.devicePixelRatio || 1;
    const from = this.toLine(this.view.from), to = this.toLine(this.view.to), width = to - from;
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(3 * area.width * ratio);
    canvas.height = Math.round(area.height * ratio);
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    const { y } = this.scales({ left: 0, top: 0, width: area.width, height: area.height });
    const strip = {
      canvas,
      context,
      from: from - width,
      to: to + width,
      width: 3 * area.width,
      height: area.height,
      ratio,
      begun: performance.now(),
    };
    strip.place = (value) => (this.toLine(value) - strip.from) / (strip.to - strip.from) * strip.width;
    strip.todo = this.count(strip) > fewPoints ? this.pixelJobs(strip, y) : this.jobs(y);
    this.next = strip;
  }

  /** Points in a strip. */
  count(strip) {
    const from = this.fromLine(strip.from), to = this.fromLine(strip.to);
    return this.curves.reduce((sum, { x }) => sum + bisect(x, to) - bisect(x, from), 0);
  }

  /** The same as jobs(), with the lines in pixels. */
  pixelJobs(strip, y) {
    const { ratio, canvas } = strip;
    const pixels = new Pixels(canvas.width, canvas.height);
    const scale = canvas.width / (strip.to - strip.from);
    const place = this.xLog
      ? (value) => (Math.log10(value) - strip.from) * scale
      : (value) => (value - strip.from) * scale;
    // d3's scales cost more a call than the painting: two numbers say the same.
    const least = this.yLog ? Math.log10(this.y.low) : this.y.low,
      greatest = this.yLog ? Math.log10(this.y.high) : this.y.high;
    const steep = canvas.height / (greatest - least);
    const level = this.yLog
      ? (value) => (value > 0 ? (greatest - Math.log10(value)) * steep : NaN)
      : (value) => (greatest - value) * steep;
    const paint = (points, colour, alpha) => (_context, _place, from, to) =>
      pixels.line(
        points,
        Math.max(0, bisect(points.x, from) - 1),
        Math.min(points.x.length, bisect(points.x, to) + 1),
        { colour, alpha, thickness: 1.4 * ratio, place, level },
      );
    return [
      ...this.bands.map((band) => (context, at, from, to) => paintBand(context, band, at, y, from, to)),
      ...this.curves.filter((curve) => curve.raw).map((curve) => paint(curve.raw, curve.colour, 0.25)),
      ...this.curves.map((curve) => paint(curve, curve.colour, 1)),
      ...this.bands.map((band) => paint({ x: band.x, y: band.mean }, band.colour, 1)),
      (context) => pixels.show(context),
    ];
  }

  /** What there is to paint, in order: bands, raw curves, curves. */
  jobs(y) {
    const list = [];
    for (const band of this.bands) {
      list.push((context, place, from, to) => paintBand(context, band, place, y, from, to));
    }
    for (const curve of this.curves) {
      if (curve.raw) {
        list.push((context, place, from, to) =>
          paintLine(context, curve.raw, curve.colour, 0.25, place, y, from, to)
        );
      }
    }
    for (const curve of this.curves) {
      list.push((context, place, from, to) =>
        paintLine(context, curve, curve.colour, this.curves.length > 30 ? 0.8 : 1, place, y, from, to)
      );
    }
    for (const band of this.bands) {
      list.push((context, place, from, to) =>
        paintLine(context, { x: band.x, y: band.mean }, band.colour, 1, place, y, from, to)
      );
    }
    return list;
  }

  paintSlice(limit) {
    const strip = this.next;
    const begun = performance.now();
    do {
      strip.todo.shift()(strip.context, strip.place, this.fromLine(strip.from), this.fromLine(strip.to));
    } while (strip.todo.length && performance.now() - begun < limit);
  }

  draw() {
    const context = fit(this.canvas, this.width, this.height);
    const area = this.area();
    const { x, y } = this.scales(area);
    context.clearRect(0, 0, this.width, this.height);
    axes(context, area, x, y, { xLog: this.xLog, yLog: this.yLog, xName: this.options.xName() });
    if (this.strip) {
      const { strip } = this;
      const from = this.toLine(this.view.from), to = this.toLine(this.view.to);
      const scale = area.width / (to - from);
      context.save();
      context.beginPath();
      context.rect(area.left, area.top, area.width, area.height);
      context.clip();
      context.drawImage(
        strip.canvas,
        area.left + (strip.from - from) * scale,
        area.top,
        (strip.to - strip.from) * scale,
        area.height,
      );
      context.restore();
    }
    if (this.pointer !== undefined) this.drawPointer(context, area, x, y);
  }

  drawPointer(context, area, x, y) {
    const colours = theme();
    const at = Math.min(Math.max(this.pointer, area.left), area.left + area.width);
    const value = this.fromLine(
      this.toLine(this.view.from) +
        (at - area.left) / area.width * (this.toLine(this.view.to) - this.toLine(this.view.from)),
    );
    context.strokeStyle = colours.faint;
    context.beginPath();
    context.moveTo(at + 0.5, area.top);
    context.lineTo(at + 0.5, area.top + area.height);
    context.stroke();
    const near = [];
    for (const curve of [...this.curves, ...this.bands.map((band) => ({ ...band, y: band.mean }))]) {
      const i = nearest(curve.x, value);
      if (i < 0 || !Number.isFinite(curve.y[i])) continue;
      near.push({ curve, x: curve.x[i], y: curve.y[i] });
    }
    for (const { curve, x: px, y: py } of near) {
      if (this.yLog && py <= 0) continue;
      context.fillStyle = curve.colour;
      context.beginPath();
      context.arc(x(px), y(py), 3, 0, 2 * Math.PI);
      context.fill();
    }
    this.showTip(near, value, y);
  }

  showTip(near, value, y) {
    near.sort((a, b) => b.y - a.y);
    let shown = near;
    if (near.length > 12) { // those next to the pointer
      const place = near.map((entry, i) => [Math.abs(y(entry.y) - this.pointerY), i]).sort((a, b) =>
        a[0] - b[0]
      ).slice(0, 12).map((entry) => entry[1]);
      shown = near.filter((_, i) => place.includes(i));
    }
    this.tip.replaceChildren(
      h('div', { class: 'faint' }, `${this.options.xName()} ${number(Number(value.toPrecision(5)))}`),
      ...shown.map(({ curve, y: py }) =>
        h(
          'div',
          { class: 'tipline' },
          h('i', { style: { background: curve.colour } }),
          h('b', {}, number(py)),
          h('span', {}, curve.label),
        )
      ),
      near.length > shown.length
        ? h('div', { class: 'faint' }, `and ${near.length - shown.length} more`)
        : '',
    );
    this.tip.hidden = !near.length;
    const left = this.pointer > this.width / 2;
    this.tip.style.left = left ? '' : `${this.pointer + 14}px`;
    this.tip.style.right = left ? `${this.width - this.pointer + 14}px` : '';
  }

  // The view moves. While it does, y stays as it is; then it fits what is seen.
  move(from, to) {
    const narrowest = (this.toLine(this.extent.to) - this.toLine(this.extent.from)) * 1e-5;
    if (to - from < narrowest) return;
    this.view = { from: this.fromLine(from), to: this.fromLine(to) };
    this.follows = false;
    const strip = this.next ?? this.strip;
    const width = to - from;
    const scaled = !strip || Math.abs((strip.to - strip.from) / 3 - width) > width * 1e-6;
    const near = strip && (from - strip.from < width * 0.4 || strip.to - to < width * 0.4);
    if (scaled || (near && !this.next)) this.startStrip();
    this.ask();
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.settle(), 180);
  }

  settle() {
    if (this.gone || this.dragging) return;
    const before = this.y;
    this.fitY();
    if (before.low !== this.y.low || before.high !== this.y.high) this.repaint();
    this.options.onwindow?.(this.follows ? null : this.view);
  }

  pan(share) {
    const from = this.toLine(this.view.from), to = this.toLine(this.view.to);
    this.move(from + share * (to - from), to + share * (to - from));
  }
  zoom(factor, place = 0.5) {
    const from = this.toLine(this.view.from), to = this.toLine(this.view.to);
    const fixed = from + place * (to - from);
    this.move(fixed - (fixed - from) * factor, fixed + (to - fixed) * factor);
  }
  reset() {
    this.view = { ...this.extent };
    this.follows = true;
    this.fitY();
    this.repaint();
    this.options.onwindow?.(null);
  }

  listen() {
    const { canvas } = this;
    let last = 0;
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      this.dragging = true;
      last = event.clientX;
      canvas.setPointerCapture(event.pointerId);
      canvas.classList.add('dragging');
    });
    canvas.addEventListener('pointermove', (event) => {
      if (this.dragging && this.view) {
        const share = (last - event.clientX) / this.area().width;
        last = event.clientX;
        this.pointer = undefined;
        this.tip.hidden = true;
        if (share) this.pan(share);
        return;
      }
      const box = canvas.getBoundingClientRect();
      this.pointer = event.clientX - box.left;
      this.pointerY = event.clientY - box.top;
      this.ask();
    });
    const end = () => {
      if (!this.dragging) return;
      this.dragging = false;
      canvas.classList.remove('dragging');
      clearTimeout(this.rest);
      this.rest = setTimeout(() => this.settle(), 80);
    };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    canvas.addEventListener('pointerleave', () => {
      this.pointer = undefined;
      this.tip.hidden = true;
      this.ask();
    });
    canvas.addEventListener('wheel', (event) => {
      if (!this.view || !(event.ctrlKey || event.shiftKey || document.activeElement === canvas)) return;
      event.preventDefault();
      const area = this.area();
      const place = (event.clientX - canvas.getBoundingClientRect().left - area.left) / area.width;
      this.zoom(1.0015 ** (event.deltaY || event.deltaX), Math.min(1, Math.max(0, place)));
    }, { passive: false });
    canvas.addEventListener('dblclick', () => this.reset());
    canvas.addEventListener('keydown', (event) => {
      const act = {
        ArrowLeft: () => this.pan(-0.1),
        ArrowRight: () => this.pan(0.1),
        '+': () => this.zoom(0.7),
        '=': () => this.zoom(0.7),
        '-': () => this.zoom(1 / 0.7),
        0: () => this.reset(),
      }[event.key];
      if (!act || !this.view || event.ctrlKey || event.metaKey) {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      act();
    });
  }

  /** The whole chart with title and legend, on any context. */
  paint(context, width, height) {
    const lines = [...this.curves, ...this.bands].slice(0, 20);
    const area = this.area(width, height - 24 - 15 * lines.length);
    area.top += 24;
    const { x, y } = this.scales(area);
    const colours = theme();
    context.font = font;
    context.fillStyle = colours.ink;
    context.textAlign = 'left';
    context.textBaseline = 'top';
    context.fillText(this.options.title, area.left, 8);
    axes(context, area, x, y, { xLog: this.xLog, yLog: this.yLog, xName: this.options.xName() });
    context.save();
    context.beginPath();
    context.rect(area.left, area.top, area.width, area.height);
    context.clip();
    for (const job of this.jobs(y)) job(context, x, this.view.from, this.view.to);
    context.restore();
    lines.forEach((curve, i) => {
      const at = area.top + area.height + 40 + 15 * i;
      context.fillStyle = curve.colour;
      context.fillRect(area.left, at + 4, 14, 3);
      context.fillStyle = colours.ink;
      context.textAlign = 'left';
      context.textBaseline = 'top';
      context.fillText(curve.label, area.left + 20, at);
    });
  }

  export(kind) {
    if (!this.view) return;
    const lines = Math.min(20, this.curves.length + this.bands.length);
    const width = Math.max(640, this.width), height = 400 + 15 * lines;
    save(this.options.title, kind, width, height, (context) => this.paint(context, width, height));
  }
}

/** The first place with x >= value. */
function bisect(x, value) {
  let low = 0, high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nearest(x, value) {
  if (!x.length || value < x[0] - 1e-9 && x.length === 1) return x.length - 1;
  const i = bisect(x, value);
  if (i === 0) return 0;
  if (i === x.length) return i - 1;
  return value - x[i - 1] < x[i] - value ? i - 1 : i;
}

/** A line from `from` to `to`. Of many points in one column of the screen only the ends, the least and
 * the greatest matter: it looks the same and costs a fraction. */
function paintLine(context, curve, colour, alpha, place, y, from, to) {
  const { x, y: values } = curve;
  let i = Math.max(0, bisect(x, from) - 1);
  const end = Math.min(x.length, bisect(x, to) + 1);
  context.strokeStyle = colour;
  context.globalAlpha = alpha;
  context.lineWidth = 1.5;
  context.lineJoin = 'bevel';
  context.beginPath();
  let pen = false, column = NaN, low = 0, high = 0, last = 0, count = 0;
  const flush = () => {
    if (count > 2) {
      context.lineTo(column, low);
      context.lineTo(column, high);
    }
    if (count > 1) context.lineTo(column, last);
    count = 0;
  };
  let alone = true;
  for (; i < end; ++i) {
    const at = y(values[i]);
    if (!(at > -1e7 && at < 1e7)) {
      flush();
      pen = false;
      column = NaN;
      continue;
    }
    const px = Math.round(place(x[i]) * 2) / 2;
    if (px === column) {
      if (at < low) low = at;
      if (at > high) high = at;
      last = at;
      ++count;
      continue;
    }
    flush();
    if (pen) context.lineTo(px, at);
    else context.moveTo(px, at);
    alone = alone && !pen;
    pen = true;
    column = px;
    low = high = last = at;
    count = 1;
  }
  flush();
  context.stroke();
  if (alone && pen) { // one point: a dot, for a line has no length
    context.fillStyle = colour;
    context.beginPath();
    context.arc(column, last, 3, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

function paintBand(context, band, place, y, from, to) {
  const { x, low, high } = band;
  const begin = Math.max(0, bisect(x, from) - 1), end = Math.min(x.length, bisect(x, to) + 1);
  context.fillStyle = band.colour;
  context.globalAlpha = 0.18;
  context.beginPath();
  const inside = (value) => {
    const at = y(value);
    return at > -1e7 && at < 1e7 ? at : y.range()[0];
  };
  for (let i = begin; i < end; ++i) context[i === begin ? 'moveTo' : 'lineTo'](place(x[i]), inside(high[i]));
  for (let i = end - 1; i >= begin; --i) context.lineTo(place(x[i]), inside(low[i]));
  context.closePath();
  context.fill();
  context.globalAlpha = 1;
}
