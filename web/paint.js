// Painting that is the same on a screen, in a PNG and in an SVG.

export const font = '11px system-ui, sans-serif';

/** The page's colours, as its style sheet gives them for the theme. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    ink: of('--ink'),
    faint: of('--faint'),
    line: of('--line'),
    ground: of('--card'),
    accent: of('--accent'),
  };
}

/** The part of CanvasRenderingContext2D that our charts use, written down as SVG. */
export class SvgContext {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.parts = [];
    this.path = '';
    this.clips = 0;
    this.open = 0;
    this.stack = [];
    Object.assign(this, {
      strokeStyle: '#000',
      fillStyle: '#000',
      lineWidth: 1,
      globalAlpha: 1,
      font,
      textAlign: 'left',
      textBaseline: 'alphabetic',
      lineJoin: 'miter',
    });
  }
  static text(value) {
    return String(value).replace(
      /[&<>"]/g,
      (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c],
    );
  }
  at(value) {
    return Math.round(value * 100) / 100;
  }
  beginPath() {
    this.path = '';
  }
  moveTo(x, y) {
    this.path += `M${this.at(x)} ${this.at(y)}`;
  }
  lineTo(x, y) {
    this.path += `${this.path ? 'L' : 'M'}${this.at(x)} ${this.at(y)}`;
  }
  closePath() {
    this.path += 'Z';
  }
  rect(x, y, w, h) {
    this.path += `M${this.at(x)} ${this.at(y)}h${this.at(w)}v${this.at(h)}h${this.at(-w)}Z`;
  }
  arc(x, y, r) {
    this.path += `M${this.at(x - r)} ${this.at(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
  }
  stroke() {
    this.parts.push(
      `<path d="${this.path}" fill="none" stroke="${
        SvgContext.text(this.strokeStyle)
      }" stroke-width="${this.lineWidth}" stroke-linejoin="round" opacity="${this.globalAlpha}"/>`,
    );
  }
  fill() {
    this.parts.push(
      `<path d="${this.path}" fill="${SvgContext.text(this.fillStyle)}" opacity="${this.globalAlpha}"/>`,
    );
  }
  fillRect(x, y, w, h) {
    this.parts.push(
      `<rect x="${this.at(x)}" y="${this.at(y)}" width="${this.at(w)}" height="${this.at(h)}" fill="${
        SvgContext.text(this.fillStyle)
      }" opacity="${this.globalAlpha}"/>`,
    );
  }
  fillText(text, x, y) {
    const anchor = { center: 'middle', right: 'end' }[this.textAlign] ?? 'start';
    const shift = { middle: '0.35em', top: '0.9em' }[this.textBaseline] ?? '0';
    this.parts.push(
      `<text x="${this.at(x)}" y="${this.at(y)}" dy="${shift}" text-anchor="${anchor}" fill="${
        SvgContext.text(this.fillStyle)
      }">${SvgContext.text(text)}</text>`,
    );
  }
  measureText(text) {
    return { width: text.length * 6 };
  }
  save() {
    this.stack.push(this.open);
  }
  restore() {
    const before = this.stack.pop();
    while (this.open > before) {
      this.parts.push('</g>');
      --this.open;
    }
  }
  clip() {
    this.parts.push(
      `<clipPath id="c${++this
        .clips}"><path d="${this.path}"/></clipPath><g clip-path="url(#c${this.clips})">`,
    );
    ++this.open;
  }
  setLineDash() {}
  toString() {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}" font-family="system-ui, sans-serif" font-size="11">${
      this.parts.join('')
    }</svg>`;
  }
}

/** A canvas at the screen's own resolution. */
export function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** At most so many ticks that read well; of a logarithmic scale its decades. */
export function ticksOf(scale, count, log) {
  let ticks = scale.ticks(count);
  if (log) {
    const decades = ticks.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9);
    if (decades.length >= 2) ticks = decades;
    while (ticks.length > count) ticks = ticks.filter((_, i) => i % 2 === 0);
  }
  return ticks;
}

export const tickText = (value) => {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace('.0e', 'e').replace('e+', 'e');
  return String(Number(value.toPrecision(6)));
};

/** Grid, axes and their numbers. `area`: {left, top, width, height}. */
export function axes(context, area, x, y, { xLog = false, yLog = false, xName = '', yName = '' } = {}) {
  const colours = theme();
  context.font = font;
  context.lineWidth = 1;
  const bottom = area.top + area.height;
  context.strokeStyle = colours.line;
  context.fillStyle = colours.faint;
  context.beginPath();
  const yTicks = ticksOf(y, Math.max(2, Math.floor(area.height / 36)), yLog);
  for (const tick of yTicks) {
    const at = Math.round(y(tick)) + 0.5;
    context.moveTo(area.left, at);
    context.lineTo(area.left + area.width, at);
  }
  const xTicks = ticksOf(x, Math.max(2, Math.floor(area.width / 80)), xLog);
  for (const tick of xTicks) {
    const at = Math.round(x(tick)) + 0.5;
    context.moveTo(at, bottom);
    context.lineTo(at, bottom + 4);
  }
  context.stroke();
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (const tick of yTicks) context.fillText(tickText(tick), area.left - 6, y(tick));
  context.textAlign = 'center';
  context.textBaseline = 'top';
  for (const tick of xTicks) context.fillText(tickText(tick), x(tick), bottom + 6);
  context.textAlign = 'right';
  if (xName) context.fillText(xName, area.left + area.width, bottom + 19);
  context.textAlign = 'left';
  if (yName) context.fillText(yName, area.left, area.top - 14);
}

function download(name, blob) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.-]+/g, '_');
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Saves what `paint(context)` paints. `kind`: 'png' (twice the size) or 'svg'. */
export function save(name, kind, width, height, paint) {
  const ground = theme().ground;
  if (kind === 'svg') {
    const context = new SvgContext(width, height);
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
    paint(context);
    download(`${name}.svg`, new Blob([context.toString()], { type: 'image/svg+xml' }));
    return;
  }
  const canvas = document.createElement('canvas');
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  const context = canvas.getContext('2d');
  context.scale(2, 2);
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  paint(context);
  canvas.toBlob((blob) => download(`${name}.png`, blob));
}
