// Lines painted straight into pixels. A canvas takes seconds to stroke a hundred noisy curves across a
// wide strip in software; a curve is no more than one upright run of pixels a column.

export class Pixels {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.image = new ImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer);
    this.low = new Float32Array(width);
    this.high = new Float32Array(width);
  }

  /** `points`: {x, y}, those from `begin` to `end`; `place` and `level` map to pixels. */
  line({ x, y }, begin, end, { colour, alpha, thickness, place, level }) {
    const { low, high, width } = this;
    low.fill(Infinity);
    high.fill(-Infinity);
    let lastX = NaN, lastY = NaN;
    for (let i = begin; i < end; ++i) {
      const py = level(y[i]);
      if (!(py > -1e7 && py < 1e7)) {
        lastX = NaN;
        continue;
      }
      const px = place(x[i]);
      const column = Math.floor(px);
      if (column >= 0 && column < width) {
        if (py < low[column]) low[column] = py;
        if (py > high[column]) high[column] = py;
      }
      if (lastX === lastX && Math.floor(lastX) !== column) this.join(lastX, lastY, px, py);
      else if (lastX === lastX) this.span(column, lastY);
      lastX = px;
      lastY = py;
    }
    this.fill(parse(colour), alpha, thickness / 2);
  }

  span(column, y) {
    if (column < 0 || column >= this.width) return;
    if (y < this.low[column]) this.low[column] = y;
    if (y > this.high[column]) this.high[column] = y;
  }

  /** What a line covers of each column that it crosses. */
  join(x0, y0, x1, y1) {
    const slope = (y1 - y0) / (x1 - x0);
    const first = Math.max(0, Math.floor(x0)), last = Math.min(this.width - 1, Math.floor(x1));
    for (let column = first; column <= last; ++column) {
      this.span(column, y0 + slope * (Math.max(x0, column) - x0));
      this.span(column, y0 + slope * (Math.min(x1, column + 1) - x0));
    }
  }

  /** The columns' runs, each half a pen wider at both ends, which are as faint as they fill their pixel. */
  fill([r, g, b], alpha, half) {
    const { low, high, width, height, words } = this;
    const solid = (Math.round(255 * alpha) << 24 | b << 16 | g << 8 | r) >>> 0;
    for (let column = 0; column < width; ++column) {
      if (!(low[column] <= high[column])) continue;
      const top = low[column] - half, bottom = high[column] + half;
      const first = Math.max(0, Math.floor(top)), last = Math.min(height - 1, Math.floor(bottom));
      for (let row = first; row <= last; ++row) {
        const covered = Math.min(row + 1, bottom) - Math.max(row, top);
        const at = row * width + column;
        if (covered >= 0.999 && alpha === 1) words[at] = solid;
        else this.blend(at, r, g, b, covered * alpha);
      }
    }
  }

  blend(at, r, g, b, alpha) {
    const { data } = this.image;
    const i = 4 * at;
    const under = data[i + 3] / 255 * (1 - alpha);
    const over = alpha + under;
    if (over <= 0) return;
    data[i] = (r * alpha + data[i] * under) / over;
    data[i + 1] = (g * alpha + data[i + 1] * under) / over;
    data[i + 2] = (b * alpha + data[i + 2] * under) / over;
    data[i + 3] = 255 * over;
  }

  /** On top of what a context shows. */
  show(context) {
    const canvas = document.createElement('canvas');
    canvas.width = this.width;
    canvas.height = this.height;
    canvas.getContext('2d').putImageData(this.image, 0, 0);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(canvas, 0, 0);
    context.restore();
  }
}

/** "#rrggbb" as three bytes. */
const parse = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
