#!/usr/bin/env node
// Tokens a second, one thread, beside Hugging Face's library: the same vocabularies and texts.
//
//   TOKENIZERS=DIR/node_modules/tokenizers bench/tokenizers build/release/bench/tokenizer_bench [TEXTS]
//
// Vocabularies are trained by the library on made-up Korean and English of Zipf's law; TEXTS, a file
// with one text a line, is encoded too where it is given. Both sides run in turns, three times, warm;
// the best of each counts.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);
const [program, given] = process.argv.slice(2);

if (program === '--library') {
  await timeLibrary(given);
  process.exit(0);
}

/// The library's side, in a process of its own: best seconds of five rounds after one to warm up.
async function timeLibrary(folder) {
  const lib = createRequire(import.meta.url)(process.env.TOKENIZERS ?? 'tokenizers');
  const tokenizer = lib.Tokenizer.fromFile(join(folder, 'tokenizer.json'));
  const texts = readFileSync(join(folder, 'texts.txt'), 'utf8').trimEnd().split('\n');
  let best = Infinity, tokens = 0;
  for (let round = 0; round < 6; ++round) {
    const begun = process.hrtime.bigint();
    const encodings = await tokenizer.encodeBatch(texts);
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
    if (round > 0) best = Math.min(best, seconds);
    tokens = encodings.reduce((sum, encoding) => sum + encoding.getLength(), 0);
  }
  console.log(JSON.stringify({ tokens, rate: tokens / best }));
}

const { kinds } = await import('../tests/tools/tokenizers/kinds.mjs');
const { Source } = await import('../tests/tools/tokenizers/strings.mjs');
const lib = createRequire(import.meta.url)(process.env.TOKENIZERS ?? 'tokenizers');

/// Words that come as often as words do, half Hangul and half Latin.
function lines(source, count) {
  const letters = 'etaoinshrdlucmfwypvbgk';
  const words = Array.from({ length: 20000 }, (_, i) => source.many(1, 4, () => i % 2 === 0
    ? String.fromCodePoint(0xac00 + 28 * source.below(399)) : source.many(1, 3, () => letters[source.below(22)])));
  return Array.from({ length: count }, () => Array.from({ length: source.between(5, 25) }, () =>
    words[Math.floor(words.length ** source.next()) - 1] + source.pick(['', '', '', '', '.', ',', '?', '!'])).join(' '));
}

const folder = mkdtempSync(join(tmpdir(), 'tokenizer-bench-'));
try {
  const source = new Source(11);
  const train = join(folder, 'train.txt');
  writeFileSync(train, lines(source, 20000).join('\n') + '\n');
  const texts = lines(source, 5000).join('\n') + '\n';
  const documents = kinds(lib, train);
  for (const name of ['bert_uncased', 'bert_klue', 'roberta', 'xlmr', 'llama']) {
    const sets = { made: texts, ...(given ? { given: readFileSync(given, 'utf8') } : {}) };
    for (const [set, content] of Object.entries(sets)) {
      mkdirSync(join(folder, `${name}-${set}`));
      writeFileSync(join(folder, `${name}-${set}`, 'tokenizer.json'), JSON.stringify(documents[name]));
      writeFileSync(join(folder, `${name}-${set}`, 'texts.txt'), content);
    }
  }
  const ours = new Map(), theirs = new Map();
  const better = (map, name, rate) => map.set(name, Math.max(map.get(name) ?? 0, rate));
  const env = { ...process.env, TOKENIZERS_PARALLELISM: 'false', RAYON_NUM_THREADS: '1', UV_THREADPOOL_SIZE: '1',
    POLYPHONY_BENCH_TOKENIZERS: folder };
  for (let turn = 0; turn < 3; ++turn) {
    const report = spawnSync(program, ['--benchmark_format=json', '--benchmark_min_time=0.5'], { env, encoding: 'utf8' });
    if (report.status !== 0) throw new Error(`${program}: ${report.stderr}`);
    for (const { name, tokens } of JSON.parse(report.stdout).benchmarks) {
      better(ours, name, tokens);
      better(theirs, name, JSON.parse(execFileSync(process.execPath, [here, '--library', join(folder, name)],
        { env, encoding: 'utf8' }).trim().split('\n').at(-1)).rate);
    }
  }
  const millions = rate => (rate / 1e6).toFixed(2).padStart(8);
  console.log('million tokens a second      here  library   ratio');
  for (const [name, rate] of ours)
    console.log(`${name.padEnd(24)} ${millions(rate)} ${millions(theirs.get(name))} ${(rate / theirs.get(name)).toFixed(1).padStart(7)}`);
} finally {
  rmSync(folder, { recursive: true });
}
