// What a run predicted: the confusion matrix, the scores of the classes, and the items that went wrong.

import { ask, audioUrl } from './api.js';
import { h, num, row, th } from './dom.js';
import { address, go } from './state.js';

const pageSize = 50;
const nowhere = { label: null, pred: null, page: null };
const percent = (share, digits) => `${(100 * share).toFixed(digits)} %`;

/** One count of the matrix. `chosen`: its items are the ones shown; without `choose` it is no button. */
function matrixCell(count, share, { was, said, right, chosen, choose }) {
  const cell = h(
    'button',
    {
      type: 'button',
      title: `${count} of ${was} were called ${said} (${percent(share, 1)})`,
      'aria-pressed': chosen ? 'true' : null,
      class: right ? 'right' : 'wrong',
      disabled: !choose,
      onclick: choose,
    },
    count,
    h('small', {}, percent(share, 0)),
  );
  cell.style.setProperty('--share', `${Math.round(100 * Math.sqrt(share))}%`);
  return h('td', {}, cell);
}

/** `label` and `prediction`: the cell whose items are shown; undefined where the matrix is a figure. */
export function confusionMatrix({ classes, counts }, label, prediction) {
  const cellOf = (count, i, j, sum) => {
    const chosen = i === label && j === prediction;
    const target = chosen
      ? { ...nowhere, all: null }
      : { label: String(i), pred: String(j), page: null, all: i === j };
    const choose = label === undefined ? undefined : () => go(target);
    const facts = { was: classes[i], said: classes[j], right: i === j, chosen, choose };
    return matrixCell(count, sum ? count / sum : 0, facts);
  };
  const rowOf = (counts, i) => {
    const sum = counts.reduce((a, b) => a + b, 0);
    return row(th(classes[i]), counts.map((count, j) => cellOf(count, i, j, sum)));
  };
  const head = row(th('was \\ said', { class: 'corner' }), classes.map((name) => th(name)));
  const table = h(
    'table',
    { class: 'matrix', 'aria-label': 'Confusion matrix' },
    h('thead', {}, head),
    h('tbody', {}, counts.map(rowOf)),
  );
  return h('div', {}, h('h2', {}, 'Confusion matrix'), h('div', { class: 'scroll' }, table));
}

function scores({ scores, accuracy, macro_f1, rows }) {
  const head = row(['class', 'precision', 'recall', 'F1', 'rows'].map((name) => th(name)));
  const ofClass = (score) =>
    row(
      th(score.class),
      [score.precision, score.recall, score.f1].map((value) => num(value.toFixed(4))),
      num(score.support),
    );
  const all = [
    row(th('accuracy'), num(accuracy.toFixed(4), { colspan: 3 }), num(rows)),
    row(th('macro F1'), num(macro_f1.toFixed(4), { colspan: 3 }), h('td', {})),
  ];
  return h(
    'div',
    {},
    h('h2', {}, 'Classes'),
    h(
      'table',
      { class: 'plain' },
      h('thead', {}, head),
      h('tbody', {}, scores.map(ofClass)),
      h('tfoot', {}, all),
    ),
  );
}

function recording(run, set, item) {
  const onerror = (event) => {
    event.target.replaceWith(h('span', { class: 'faint' }, 'its recording cannot be played'));
  };
  const src = audioUrl(run, set, item.row);
  return h('audio', { controls: true, preload: 'none', src, title: item.audio, onerror });
}

function itemOf(run, set, item) {
  const verdict = h(
    'div',
    { class: 'verdict' },
    h('span', { class: 'was' }, item.label || '(no label)'),
    ' → ',
    h('span', { class: 'said' }, item.prediction),
    typeof item.confidence === 'number' && h('span', { class: 'faint' }, ` ${percent(item.confidence, 1)}`),
  );
  return h(
    'li',
    { class: item.label === item.prediction ? 'right' : null },
    verdict,
    h('blockquote', {}, item.text || h('span', { class: 'faint' }, 'no transcript')),
    item.audio && recording(run, set, item),
  );
}

function pages(view, count) {
  if (count < 2) return false;
  const turn = (to, text) =>
    h('a', { href: address({ page: to || null }), class: to < 0 || to >= count ? 'off' : null }, text);
  return h(
    'p',
    { class: 'pages' },
    turn(view.page - 1, '← before'),
    ` ${view.page + 1} of ${count} `,
    turn(view.page + 1, 'more →'),
  );
}

/** What is shown: one cell's items, all, or the mistakes; and the way to the others. */
function itemsHead(view, matching) {
  const one = view.label >= 0;
  const title = one
    ? `${view.classes[view.label]} called ${view.classes[view.prediction]}`
    : view.all
    ? 'All items'
    : 'Misclassified';
  const other = one ? h('a', { class: 'chip', href: address({ ...nowhere, all: null }) }, 'all mistakes') : h(
    'a',
    { class: 'chip', href: address({ all: !view.all, page: null }) },
    view.all ? 'mistakes only' : 'right ones too',
  );
  return [
    h('h2', {}, title, h('span', { class: 'faint' }, ` ${matching}`)),
    h('p', { class: 'chips' }, other),
  ];
}

function items(run, set, data, view) {
  return h(
    'div',
    { class: 'items' },
    itemsHead(view, data.matching),
    h('ol', { start: view.page * pageSize + 1 }, data.items.map((item) => itemOf(run, set, item))),
    pages(view, Math.ceil(data.matching / pageSize)),
  );
}

function setChooser(sets, set) {
  if (sets.length < 2) return false;
  const chip = (name) =>
    h('a', {
      class: 'chip',
      'aria-current': name === set ? 'true' : null,
      href: address({ set: name, ...nowhere }),
    }, name);
  return h('p', { class: 'chips' }, sets.map(chip));
}

/** Asks for the predictions that the address names. @return what stands on the page */
export async function predictions(run, state) {
  const sets = run.prediction_sets;
  if (!sets.length) {
    return h('p', { class: 'note' }, 'This run has predicted nothing yet, or its directory is gone.');
  }
  const set = sets.includes(state.text('set')) ? state.text('set') : sets[0];
  const view = {
    label: state.number('label', -1),
    prediction: state.number('pred', -1),
    page: state.number('page', 0),
    all: state.flag('all'),
  };
  const { id } = run;
  const { label, prediction, page, all } = view;
  try {
    const [matrix, data] = await Promise.all([
      ask('confusion', { id, set }),
      ask('items', { id, set, label, prediction, all: all ? 1 : null, offset: page * pageSize }),
    ]);
    return [
      setChooser(sets, set),
      h('div', { class: 'two' }, confusionMatrix(matrix, label, prediction), scores(matrix)),
      items(id, set, data, { ...view, classes: matrix.classes }),
    ];
  } catch (error) {
    return h('p', { class: 'error' }, `${error.message} ${error.remedy ?? ''}`);
  }
}
