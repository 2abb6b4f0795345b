// Numbers and times as people read them.

/** Four digits that tell values apart; whole numbers whole. */
export function number(value) {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'number') return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3).replace(/\.?0+e/, 'e');
  return String(Number(value.toPrecision(size >= 1000 ? 6 : 4)));
}

export function duration(seconds) {
  if (typeof seconds !== 'number') return '';
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round(seconds % 3600 / 60)} min`;
}

/** "2026-11-24T23:11:14Z" as local "11-24 23:11", with the year where it is another. */
export function time(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text ?? '';
  const two = (part) => String(part).padStart(2, '0');
  const year = date.getFullYear() === new Date().getFullYear() ? '' : `${date.getFullYear()}-`;
  return `${year}${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${
    two(date.getMinutes())
  }`;
}

export function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    ++unit;
  }
  return `${unit ? count.toFixed(1) : count} ${units[unit]}`;
}

export const cell = (field, value) =>
  field === 'seconds'
    ? duration(value)
    : field === 'started' || field === 'ended'
    ? time(value)
    : number(value);

// Ten colours that differ in hue and in lightness, readable on white and on black.
const palette = [
  '#4c8dff',
  '#f28e2b',
  '#2fb47c',
  '#e15759',
  '#a97bea',
  '#d0a000',
  '#17b3c7',
  '#e377c2',
  '#8c9a2f',
  '#9c755f',
];
export const colour = (place) => palette[place % palette.length];
