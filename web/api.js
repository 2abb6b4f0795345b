// Questions to the server.

export class Refused extends Error {
  constructor(error, remedy, status) {
    super(error);
    this.remedy = remedy;
    this.status = status;
  }
}

function url(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === null || value === '') continue;
    if (Array.isArray(value)) value.forEach((item) => query.append(name, item));
    else query.set(name, value);
  }
  return `${path}?${query}`;
}

async function get(path, parameters, signal) {
  const response = await fetch(url(path, parameters), { signal });
  if (response.ok) return response;
  let answer = {};
  try {
    answer = await response.json();
  } catch { /* no JSON: the status says it */ }
  throw new Refused(
    answer.error ?? `the server says ${response.status}`,
    answer.remedy ?? '',
    response.status,
  );
}

export async function ask(name, parameters = {}, signal) {
  return (await get(`/api/${name}`, parameters, signal)).json();
}

/** Curves as typed arrays: a head in JSON, then 32-bit floats. */
export async function askCurves(parameters, signal) {
  const response = await get('/api/curves', { ...parameters, format: 'binary' }, signal);
  const bytes = await response.arrayBuffer();
  const size = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, size)));
  let at = 4 + size + (4 - size % 4) % 4;
  const take = (count) => {
    const values = new Float32Array(bytes, at, count);
    at += 4 * count;
    return values;
  };
  for (const curve of head.curves ?? []) {
    curve.x = take(curve.size);
    curve.y = take(curve.size);
    if (curve.rawSize) curve.raw = { x: take(curve.rawSize), y: take(curve.rawSize) };
  }
  for (const band of head.bands ?? []) {
    for (const part of ['x', 'mean', 'low', 'high']) band[part] = take(band.size);
  }
  return head;
}

export const audioUrl = (id, set, row) => url('/audio', { id, set, row });

/** Only the newest of several answers counts; what came before is called off. */
export function latest() {
  let controller = null;
  return async (work) => {
    controller?.abort();
    controller = new AbortController();
    const { signal } = controller;
    try {
      return await work(signal);
    } catch (error) {
      if (error.name === 'AbortError') return new Promise(() => {});
      throw error;
    }
  };
}

// Server-sent events. A hidden page lets go of its connection: a browser has six for one host.
export function listen(onnews, onstate) {
  let source = null;
  let missed = false;
  const open = () => {
    source = new EventSource('/events');
    source.addEventListener('hello', () => {
      onstate('live');
      if (missed) onnews({ everything: true, runs: [] });
      missed = false;
    });
    source.addEventListener('change', (event) => onnews(JSON.parse(event.data)));
    source.addEventListener('error', () => {
      missed = true;
      onstate(source.readyState === EventSource.CLOSED ? 'ended' : 'waiting');
    });
  };
  const close = () => {
    source?.close();
    missed = true;
    onstate('paused');
  };
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}
