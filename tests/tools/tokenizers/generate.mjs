// What Hugging Face's library answers, as golden cases.
// usage: node generate.mjs FOLDER TEXTS_EACH SEED [KIND…]
// with `tokenizers` 0.23.2 installed where node finds it: npm install --prefix DIR tokenizers@0.23.2,
// then TOKENIZERS=DIR/node_modules/tokenizers node generate.mjs …
// Writes FOLDER/KIND/tokenizer.json and FOLDER/KIND/cases.jsonl, one case a line:
//   text (or bytes, base64, where they are not UTF-8), pair, options, and under `want` ids, types,
//   attention, special, offsets (begin, end, …), words, overflow (ids of each window), decoded.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { kinds } from './kinds.mjs';
import { Source, bytes } from './strings.mjs';

const lib = createRequire(import.meta.url)(process.env.TOKENIZERS ?? 'tokenizers');
const [folder, count, seed, ...only] = process.argv.slice(2);
const kTokens = ['[CLS]', '[SEP]', '[MASK]', '[UNK]', '<s>', '</s>', '<mask>', '<pad>', '<unk>', 'NewTok', 'newtok',
  '<one>', ' <one>', '<L>', '<R>', 'Été', 'été', 'x<one>y'];

// How a case is cut and padded. max_length 0: not.
const kOptions = [
  {}, {}, {},
  { special: false },
  { max_length: 12, strategy: 'LongestFirst' },
  { max_length: 7, strategy: 'LongestFirst', side: 'Left' },
  { max_length: 16, strategy: 'LongestFirst', stride: 3 },
  { max_length: 40, strategy: 'OnlyFirst', pad: 48 },
  { pad: 24, multiple: 16 },
  { pad: 20, pad_side: 'Left', max_length: 20, strategy: 'LongestFirst' },
];

function set(tokenizer, options) {
  if (options.max_length) {
    tokenizer.setTruncation(options.max_length,
      { strategy: options.strategy, direction: (options.side ?? 'Right').toLowerCase(), stride: options.stride ?? 0 });
  } else {
    tokenizer.disableTruncation();
  }
  if (options.pad) {
    tokenizer.setPadding({ maxLength: options.pad, direction: options.pad_side === 'Left' ? 'left' : 'right',
      padToMultipleOf: options.multiple, padId: 1, padTypeId: 0, padToken: '<pad>' });
  } else {
    tokenizer.disablePadding();
  }
}

async function answer(tokenizer, text, pair, options) {
  const encoding = await tokenizer.encode(text, pair ?? null, { addSpecialTokens: options.special ?? true });
  const ids = encoding.getIds();
  return {
    ids, types: encoding.getTypeIds(), attention: encoding.getAttentionMask(),
    special: encoding.getSpecialTokensMask(), offsets: encoding.getOffsets().flat(),
    words: encoding.getWordIds().map(word => word ?? -1),
    overflow: encoding.getOverflowing().map(window => window.getIds()),
    decoded: ids.length > 0 ? await tokenizer.decode(ids, true) : '',
  };
}

for (const [name, document] of Object.entries(kinds(lib))) {
  if (only.length > 0 && !only.includes(name)) continue;
  const text = JSON.stringify(document);
  const tokenizer = lib.Tokenizer.fromString(text);
  const source = new Source(Number(seed) + name.length * 7919);
  const lines = [];
  for (let i = 0; i < Number(count); ++i) {
    const options = kOptions[source.below(kOptions.length)];
    const raw = bytes(source, kTokens);
    const second = source.below(5) === 0 ? bytes(source, kTokens).toString('utf8') : undefined;
    set(tokenizer, options);
    const valid = raw.toString('utf8');
    let want;
    try {
      want = await answer(tokenizer, valid, second, options);
    } catch (error) {
      want = { error: String(error.message ?? error) };
    }
    const intact = Buffer.from(valid, 'utf8').equals(raw);
    lines.push(JSON.stringify({ ...(intact ? { text: valid } : { bytes: raw.toString('base64') }),
      ...(second === undefined ? {} : { pair: second }), options, want }));
  }
  mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, name, 'tokenizer.json'), text + '\n');
  writeFileSync(join(folder, name, 'cases.jsonl'), lines.join('\n') + '\n');
  console.log(`${name}: ${lines.length} cases`);
}
