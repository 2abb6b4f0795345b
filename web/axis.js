// A field's values on an axis, for the drawings that set runs against each other.

import { tickText } from './paint.js';

const missing = (value) => value === null || value === '';

/** Room around a single value. */
function around(value, log) {
  if (log || value === 0) return [value - 1, value + 1];
  return [value * 0.9, value * 1.1].sort((a, b) => a - b);
}

/** Numbers (on a logarithm where they span decades) or names. */
export class Axis {
  constructor(name, values) {
    this.name = name;
    const known = values.filter((value) => !missing(value));
    const numbers = known.map(Number);
    this.numeric = known.length > 0 && numbers.every(Number.isFinite);
    if (this.numeric) this.ofNumbers(numbers, values);
    else this.ofNames(known, values);
  }
  ofNumbers(numbers, values) {
    const distinct = [...new Set(numbers)].sort((a, b) => a - b);
    if (distinct.length <= 8) this.few = distinct; // a choice of settings: those are the ticks
    const low = distinct[0], high = distinct[distinct.length - 1];
    this.log = low > 0 && high / low >= 100;
    this.domain = low === high ? around(low, this.log) : [low, high];
    this.values = values.map((value) => (missing(value) ? NaN : Number(value)));
  }
  ofNames(known, values) {
    this.names = [...new Set(known.map(String))].sort();
    this.domain = this.names;
    this.values = values.map((value) => (value === null ? null : String(value)));
  }
  scale(range) {
    if (!this.numeric) return d3.scalePoint().domain(this.names).range(range).padding(0.5);
    return (this.log ? d3.scaleLog() : d3.scaleLinear()).domain(this.domain).range(range);
  }
  ticks(scale, count) {
    if (this.few) return this.few;
    if (!this.numeric) {
      const step = this.names.length > 2 * count ? Math.ceil(this.names.length / count / 2) : 1;
      return this.names.filter((_, i) => i % step === 0);
    }
    const ticks = scale.ticks(count);
    return this.log ? ticks.filter((tick) => Math.abs(Math.log10(tick) % 1) < 1e-9) : ticks;
  }
  text(value) {
    return this.numeric ? tickText(value) : String(value);
  }
}
