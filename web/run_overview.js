// What a run is: its facts, what it reached, its files and its code.

import { h, num, row, th } from './dom.js';
import { bytes, duration, number, time } from './format.js';

const code = (text) => h('code', {}, text);
const pre = (text) => h('pre', { class: 'code' }, text);

function facts(rows) {
  const known = rows.filter(([, value]) => value !== '' && value !== null && value !== undefined);
  return h('dl', { class: 'facts' }, known.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

function factsOf(run) {
  return facts([
    ['started', time(run.started)],
    ['took', duration(run.duration)],
    ['verb', run.verb],
    ['group', run.group],
    ['seed', run.seed],
    ['notes', run.notes],
    ['ended by', run.exit_reason],
    ['directory', run.directory],
    ['command', code(run.command)],
    ['overrides', run.overrides.length ? code(run.overrides.join(' ')) : ''],
    ['commit', run.git_commit ? `${run.git_commit.slice(0, 12)}${run.git_dirty ? ' (changed)' : ''}` : ''],
    ['host', `${run.host} (pid ${run.pid})`],
    ['source', run.source === 'polyphony' ? '' : run.source],
  ]);
}

function pairs(title, values, open = false) {
  if (!Object.keys(values).length) return false;
  return h('details', { open }, h('summary', {}, title), facts(Object.entries(values)));
}

function fileRow(file) {
  const digest = { class: 'hash', title: file.sha256 };
  return row(
    th(file.name),
    h('td', {}, file.kind),
    num(bytes(file.bytes)),
    h('td', digest, file.sha256.slice(0, 12)),
  );
}

function artifacts(files) {
  if (!files.length) return false;
  const table = h('table', { class: 'plain' }, h('tbody', {}, files.map(fileRow)));
  return h('details', {}, h('summary', {}, `Artifacts (${files.length})`), table);
}

function summaries(run) {
  const head = ['metric', 'last', 'least', 'greatest', 'step'].map((name) => th(name));
  const rows = run.summaries.map((metric) => {
    const href = `#curves?metric=${encodeURIComponent(metric.name)}&sel=${run.id}`;
    const values = [metric.last, metric.min, metric.max, metric.step];
    return row(th(h('a', { href }, metric.name)), values.map((value) => num(number(value))));
  });
  return h('table', { class: 'plain' }, h('thead', {}, row(head)), h('tbody', {}, rows));
}

export function overview(run) {
  const about = [
    factsOf(run),
    pairs('Hyper-parameters', run.hyper_parameters, true),
    pairs('Machine', run.system),
    pairs('Environment', run.environment),
    artifacts(run.artifacts),
  ];
  const alert = ({ level, title, text }) => h('p', { class: `alert ${level}` }, h('b', {}, title), ' ', text);
  return [
    run.error && h('pre', { class: 'failure' }, run.error),
    run.alerts.map(alert),
    h('div', { class: 'two' }, h('div', {}, about), h('div', {}, summaries(run))),
  ];
}

export const configuration = (run) => pre(run.config_yaml || 'no configuration was recorded');

const kinds = { '+': 'plus', '-': 'minus' };

function diff(text) {
  const line = (part) => h('span', { class: part.startsWith('@@') ? 'faint' : kinds[part[0]] }, `${part}\n`);
  return pre(text.split('\n').map(line));
}

export function codeAndModel(run) {
  return [
    h('h2', {}, 'Model'),
    pre(run.model_summary || 'no summary was recorded'),
    h('h2', {}, 'Changes against the commit'),
    run.git_diff ? diff(run.git_diff) : h('p', { class: 'note' }, 'None.'),
  ];
}
