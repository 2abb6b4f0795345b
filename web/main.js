// The page: chooses the view that the address names, tells it of news, and takes the keys.

import { listen } from './api.js';
import { h, replace } from './dom.js';
import { address, current, go, onchange, selection } from './state.js';
import { CompareView } from './view_compare.js';
import { CurvesView } from './view_curves.js';
import { ExploreView } from './view_explore.js';
import { RunView } from './view_run.js';
import { RunsView } from './view_runs.js';

const views = {
  runs: ['Runs', RunsView],
  curves: ['Curves', CurvesView],
  explore: ['Explore', ExploreView],
  compare: ['Compare', CompareView],
  run: ['Run', RunView],
};
const main = document.getElementById('main');
let shown = null;
let view = null;

function drawBar() {
  const state = current();
  const chosen = selection.ids().length;
  replace(
    document.getElementById('views'),
    Object.entries(views).filter(([name]) => name !== 'run' || state.view === 'run').map((
      [name, [title]],
      i,
    ) =>
      h(
        'a',
        {
          href: address({}, name),
          'aria-current': name === state.view ? 'page' : null,
          title: `${title} (${i + 1})`,
        },
        name === 'run' ? `Run ${state.text('run')}` : title,
        (name === 'curves' || name === 'compare') && chosen > 0 && h('span', { class: 'count' }, chosen),
      )
    ),
  );
  document.title = `${name_of(state)} · Polyphony`;
}
const name_of = (
  state,
) => (state.view === 'run' ? `Run ${state.text('run')}` : views[state.view]?.[0] ?? 'Runs');

function show() {
  const state = current();
  const name = views[state.view] ? state.view : 'runs';
  drawBar();
  const key = name === 'run' ? `run ${state.text('run')}` : name;
  if (key !== shown) {
    view?.destroy?.();
    shown = key;
    main.replaceChildren();
    view = new views[name][1](main);
  }
  view.update(state);
}

// News come at most twice a second to a view, whatever the store does.
let waiting = null;
function tell(news) {
  if (waiting) {
    waiting.everything ||= news.everything;
    waiting.runs = [...new Set([...waiting.runs, ...news.runs])];
    return;
  }
  waiting = { everything: news.everything, runs: news.runs };
  setTimeout(() => {
    const all = waiting;
    waiting = null;
    view?.news?.(all);
  }, 500);
}

const liveTexts = { live: 'live', waiting: 'reconnecting', paused: 'paused', ended: 'not connected' };
listen(tell, (state) => {
  const element = document.getElementById('live');
  element.textContent = liveTexts[state];
  element.dataset.state = state;
});

export function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('polyphony-theme', root.dataset.theme);
  view?.themed?.();
}
document.getElementById('theme').addEventListener('click', toggleTheme);

const keys = [
  ['1 2 3 4', 'runs, curves, explore, compare'],
  ['/', 'to the filter'],
  ['↑ ↓ Home End', 'through the table'],
  ['Enter', 'open the run, or the group'],
  ['x or Space', 'choose the run'],
  ['Escape', 'choose none; close'],
  ['← → + − 0', 'on a chart: move, zoom, show all'],
  ['drag, Ctrl wheel, double click', 'the same by mouse'],
  ['t', 'light or dark'],
  ['?', 'this list'],
];
const dialog = document.getElementById('keys');
replace(
  dialog,
  h('h2', {}, 'Keys'),
  h('dl', {}, keys.map(([key, what]) => [h('dt', {}, key), h('dd', {}, what)])),
  h('button', { type: 'button', onclick: () => dialog.close() }, 'Close'),
);
document.getElementById('help').addEventListener('click', () => dialog.showModal());

document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, select, textarea') && event.target.type !== 'checkbox';
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (typing) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const places = ['runs', 'curves', 'explore', 'compare'];
  if (event.key >= '1' && event.key <= '4') go({}, { view: places[event.key - 1] });
  else if (event.key === '?') dialog.showModal();
  else if (event.key === 't') toggleTheme();
  else if (event.key === '/') document.querySelector('.filter input')?.focus();
  else if (view?.key?.(event)) { /* the view has taken it */ }
  else return;
  event.preventDefault();
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => view?.themed?.());
onchange(show);
show();
