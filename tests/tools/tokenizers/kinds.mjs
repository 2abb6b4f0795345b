// One tokenizer.json of every kind. Vocabularies are trained by the library itself on made-up
// sentences, then written out with the special tokens where a published model has them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { charsmap } from './charsmap.mjs';
import { Source, sentence } from './strings.mjs';

let trainingFile;  // a text to train on; nothing: made-up sentences

const kept = count => (trainingFile ? Infinity : count);

function trained(lib, model, lines, preTokenizer, normalizer) {
  const folder = mkdtempSync(join(tmpdir(), 'tokenizers-'));
  let file = trainingFile;
  if (!file) {
    file = join(folder, 'lines.txt');
    const source = new Source(7);
    writeFileSync(file, Array.from({ length: lines }, () => sentence(source)).join('\n') + '\n');
  }
  const tokenizer = new lib.Tokenizer(model);
  if (normalizer) tokenizer.setNormalizer(normalizer);
  tokenizer.setPreTokenizer(preTokenizer);
  tokenizer.train([file]);
  const saved = join(folder, 'tokenizer.json');
  tokenizer.save(saved);
  const json = JSON.parse(readFileSync(saved, 'utf8'));
  rmSync(folder, { recursive: true });
  return json.model;
}

const ids = tokens => Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]));
const special = (id, content, more = {}) => ({
  id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...more,
});
const around = (name, type_id) => ({ SpecialToken: { id: name, type_id } });
const part = (id, type_id) => ({ Sequence: { id, type_id } });
const whole = (normalizer, pre_tokenizer, post_processor, decoder, model, added_tokens) => ({
  version: '1.0', truncation: null, padding: null, added_tokens, normalizer, pre_tokenizer, post_processor,
  decoder, model,
});

const kBert = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const bertAdded = () => [
  ...kBert.map((token, id) => special(id, token)),
  special(1000000, 'NewTok', { normalized: true, special: false }),
  special(1000001, '<one>', { single_word: true, normalized: false, special: false }),
  special(1000002, '<L>', { lstrip: true, normalized: false, special: false }),
  special(1000003, '<R>', { rstrip: true, normalized: true, special: false }),
  special(1000004, 'Été', { lstrip: true, rstrip: true, normalized: true, special: false }),
];
const bertTemplate = {
  type: 'TemplateProcessing',
  single: [around('[CLS]', 0), part('A', 0), around('[SEP]', 0)],
  pair: [around('[CLS]', 0), part('A', 0), around('[SEP]', 0), part('B', 1), around('[SEP]', 1)],
  special_tokens: {
    '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
    '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
  },
};
const wordPieceDecoder = { type: 'WordPiece', prefix: '##', cleanup: true };

function bert(lib, options, post_processor) {
  const normalizer = { type: 'BertNormalizer', ...options };
  const { vocab } = trained(lib, lib.WordPiece.init(ids(kBert), { unkToken: '[UNK]' }), 60,
    lib.bertPreTokenizer(), lib.bertNormalizer({
      cleanText: options.clean_text, handleChineseChars: options.handle_chinese_chars,
      stripAccents: options.strip_accents ?? undefined, lowercase: options.lowercase,
    }));
  const model = {
    type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100,
    vocab: ids([...kBert, ...Object.keys(vocab)]),
  };
  return whole(normalizer, { type: 'BertPreTokenizer' }, post_processor, wordPieceDecoder, model, bertAdded());
}

const kRoberta = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'];
const robertaAdded = () => [
  ...kRoberta.map((token, id) => special(id, token, token === '<mask>' ? { lstrip: true } : {})),
  special(1000000, 'NewTok', { normalized: true, special: false }),
  special(1000001, ' <one>', { single_word: true, normalized: true, special: false }),
];

/// A byte-level vocabulary: all 256 bytes, then what the merges make.
function byteLevel(lib, { regex = true, ignoreMerges = false, tuples = false } = {}) {
  const model = trained(lib, lib.BPE.empty(), 60, lib.byteLevelPreTokenizer(false, true));
  const merges = model.merges.slice(0, kept(500));
  const tokens = [...kRoberta, ...[...lib.byteLevelAlphabet()].sort(), ...merges.map(pair => pair.join(''))];
  return {
    type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '',
    fuse_unk: false, byte_fallback: false, ignore_merges: ignoreMerges, vocab: ids(tokens),
    merges: tuples ? merges : merges.map(pair => pair.join(' ')),
  };
}
const byteLevelStep = (add_prefix_space, use_regex = true, trim_offsets = true) =>
  ({ type: 'ByteLevel', add_prefix_space, trim_offsets, use_regex });
const robertaProcessing = (trim_offsets, add_prefix_space) =>
  ({ type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0], trim_offsets, add_prefix_space });

function unigram(lib, { byte_fallback = false } = {}) {
  const model = trained(lib, lib.Unigram.empty(), 60, lib.metaspacePreTokenizer());
  const pieces = model.vocab.filter(([token]) => !kRoberta.includes(token)).slice(0, kept(900));
  const bytes = Array.from({ length: 256 }, (_, i) =>
    [`<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`, -20]);
  return {
    type: 'Unigram', unk_id: 3, byte_fallback,
    vocab: [...kRoberta.slice(0, 4).map(token => [token, 0]), ...pieces, ...(byte_fallback ? bytes : []),
      ['<mask>', 0]],
  };
}
const metaspace = (prepend_scheme = 'always', split = true) =>
  ({ type: 'Metaspace', replacement: '▁', prepend_scheme, split });
const xlmrTemplate = {
  type: 'TemplateProcessing',
  single: [around('<s>', 0), part('A', 0), around('</s>', 0)],
  pair: [around('<s>', 0), part('A', 0), around('</s>', 0), around('</s>', 0), part('B', 0), around('</s>', 0)],
  special_tokens: {
    '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] }, '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
  },
};
const unigramAdded = model => [
  ...kRoberta.slice(0, 4).map((token, id) => special(id, token)),
  special(model.vocab.length - 1, '<mask>', { lstrip: true }),
  special(1000000, 'NewTok', { normalized: true, special: false }),
];

/// Character-level BPE with an end-of-word suffix or a prefix of what continues: the library's own
/// trainer here knows neither, so every merge stands with and without.
function characterBpe(lib, { suffix = null, prefix = null, fuse_unk = false }) {
  const model = trained(lib, lib.BPE.init({ '<unk>': 0 }, [], { unkToken: '<unk>' }), 60,
    lib.whitespacePreTokenizer(), lib.lowercase());
  const letters = Object.keys(model.vocab).filter(token => [...token].length === 1);
  const marked = token => (suffix ? token + suffix : prefix + token);
  const merges = [], tokens = ['<unk>', ...letters, ...letters.map(marked)];
  for (const [a, b] of model.merges) {
    merges.push(...(suffix ? [[a, b], [a, marked(b)]] : [[a, marked(b)], [marked(a), marked(b)]]));
    tokens.push(a + b, marked(a + b));
  }
  return {
    type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: prefix, end_of_word_suffix: suffix,
    fuse_unk, byte_fallback: false, vocab: ids(tokens), merges,
  };
}

function llama(lib) {
  const model = trained(lib, lib.BPE.empty(), 60, lib.metaspacePreTokenizer());
  const merges = model.merges.slice(0, kept(500));
  const bytes = Array.from({ length: 256 }, (_, i) =>
    `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const letters = Object.keys(model.vocab).filter(token => [...token].length === 1);
  return {
    type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null, end_of_word_suffix: null,
    fuse_unk: true, byte_fallback: true,
    vocab: ids(['<unk>', '<s>', '</s>', ...bytes, ...letters, ...merges.map(pair => pair.join(''))]), merges,
  };
}

function wordLevel(lib) {
  const model = trained(lib, lib.WordLevel.init({ '[UNK]': 0 }, { unkToken: '[UNK]' }), 60,
    lib.whitespacePreTokenizer());
  return { type: 'WordLevel', unk_token: '[UNK]', vocab: ids([...kBert, ...Object.keys(model.vocab)]) };
}

const sequence = (...normalizers) => ({ type: 'Sequence', normalizers });
const steps = (...pretokenizers) => ({ type: 'Sequence', pretokenizers });
const form = type => ({ type });
const split = (pattern, behavior, invert = false) => ({ type: 'Split', pattern, behavior, invert });
const kCl100k = '(?i:\'s|\'t|\'re|\'ve|\'m|\'ll|\'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|' +
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/// Names and tokenizer.json documents. Where a file to train on is given, whole vocabularies are kept.
export function kinds(lib, file) {
  trainingFile = file;
  const lower = { clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true };
  const xlmr = unigram(lib), bytesToo = unigram(lib, { byte_fallback: true });
  const charsmapStep = { type: 'Precompiled', precompiled_charsmap: charsmap() };
  const twoBlanks = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };
  const words = wordLevel(lib);
  const bertOnly = kBert.map((token, id) => special(id, token));
  return {
    bert_uncased: bert(lib, lower, bertTemplate),
    bert_klue: bert(lib, { ...lower, lowercase: false }, bertTemplate),
    bert_odd: bert(lib, { clean_text: false, handle_chinese_chars: false, strip_accents: true, lowercase: false },
      { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] }),
    roberta: whole(null, byteLevelStep(false), robertaProcessing(true, false), byteLevelStep(false),
      byteLevel(lib), robertaAdded()),
    roberta_prefix: whole(form('NFC'), byteLevelStep(true), robertaProcessing(true, true), byteLevelStep(true),
      byteLevel(lib, { tuples: true }), robertaAdded()),
    gpt: whole(form('NFKC'), byteLevelStep(false), byteLevelStep(false, true, true), byteLevelStep(false),
      byteLevel(lib), robertaAdded()),
    cl100k: whole(null, steps(split({ Regex: kCl100k }, 'Isolated'), byteLevelStep(false, false, false)),
      { type: 'Sequence', processors: [byteLevelStep(true, false, true), xlmrTemplate] },
      byteLevelStep(false), byteLevel(lib, { ignoreMerges: true }), robertaAdded()),
    xlmr: whole(sequence(charsmapStep, twoBlanks), metaspace(), xlmrTemplate, metaspace(), xlmr, unigramAdded(xlmr)),
    xlmr_old: whole(charsmapStep, steps(form('WhitespaceSplit'),
      { type: 'Metaspace', replacement: '▁', add_prefix_space: true }), xlmrTemplate,
      { type: 'Metaspace', replacement: '▁', add_prefix_space: true }, xlmr, unigramAdded(xlmr)),
    unigram_bytes: whole(sequence(form('Nmt'), form('NFKC'), { type: 'Strip', strip_left: true, strip_right: true },
      twoBlanks), metaspace('first'), robertaProcessing(true, true),
      { type: 'Sequence', decoders: [form('ByteFallback'), metaspace('first')] }, bytesToo, unigramAdded(bytesToo)),
    unigram_whole: whole(sequence(form('NFD'), form('StripAccents'), form('Lowercase'),
      { type: 'Replace', pattern: { String: 'a' }, content: 'ab' }, { type: 'Prepend', prepend: '▁' }),
      metaspace('never', false), xlmrTemplate, metaspace('never', false), xlmr, unigramAdded(xlmr)),
    bpe_suffix: whole(sequence(form('NFKD'), form('StripAccents'), form('Lowercase')), form('Whitespace'), null,
      { type: 'BPEDecoder', suffix: '</w>' },
      characterBpe(lib, { suffix: '</w>' }), [special(0, '<unk>')]),
    bpe_prefix: whole(form('Lowercase'), steps(form('Whitespace'), { type: 'Punctuation', behavior: 'Contiguous' }),
      null, null, characterBpe(lib, { prefix: '##', fuse_unk: true }),
      [special(0, '<unk>')]),
    llama: whole(sequence({ type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' }), null, {
      ...xlmrTemplate, single: [around('<s>', 0), part('A', 0)], pair: [around('<s>', 0), part('A', 0), part('B', 1)],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    }, {
      type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, form('ByteFallback'),
        form('Fuse'), { type: 'Strip', content: ' ', start: 1, stop: 0 }],
    }, llama(lib), ['<unk>', '<s>', '</s>'].map((token, id) => special(id, token))),
    words: whole(form('NFC'), steps({ type: 'Digits', individual_digits: true },
      { type: 'Punctuation', behavior: 'MergedWithPrevious' }, form('WhitespaceSplit')), bertTemplate, null, words,
      bertOnly),
    words_cut: whole({ type: 'Strip', strip_left: true, strip_right: false },
      steps(split({ String: 'a' }, 'MergedWithNext'), split({ Regex: '\\w+' }, 'Removed', true),
        { type: 'Digits', individual_digits: false }, { type: 'FixedLength', length: 3 }), null, wordPieceDecoder,
      words, bertOnly),
    words_delimited: whole(sequence({ type: 'Replace', pattern: { Regex: '[[:punct:]]|\\d+$' }, content: '-' },
      form('ByteLevel')), { type: 'CharDelimiterSplit', delimiter: '-' }, bertTemplate,
      { type: 'CTC', pad_token: '[PAD]', word_delimiter_token: '|', cleanup: true }, words, bertOnly),
  };
}
