// Texts that tokenizers trip over: a seeded stream of words, scripts, marks, emoji, control codes,
// long words and bytes that are not UTF-8.

/// Numbers from 0 (inclusive) to 1: mulberry32.
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class Source {
  constructor(seed) {
    this.next = randomFrom(seed);
  }
  below(n) {
    return Math.floor(this.next() * n);
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  between(low, high) {
    return low + this.below(high - low + 1);
  }
  many(low, high, make) {
    return Array.from({ length: this.between(low, high) }, make).join('');
  }
}

const kLatin = ('the a of and in to speech emotion happy Sad ANGRY surprise fear disgust neutral it\'s ' +
  'don\'t we\'ll I\'m they\'ve model audio text token unknown Straße naïve café ÉCOLE Ångström ' +
  'fusion transformer attention reading played playing player unbelievable').split(' ');
const kKorean = ('안녕하세요 오늘 기분이 정말 좋아요 슬퍼 화가 났어 너무 무서워요 놀랐잖아 싫어 그냥 그래 음성 텍스트 ' +
  '감정 인식 모델 학습 데이터 말했다 하고 있습니다 ㅋㅋㅋ ㅠㅠ 뭐라고? 아니야! 밥 먹었어?').split(' ');
const kOthers = ('日本語 東京 漢字 中文 测试 你好世界 かな カタカナ ﾊﾝｶｸ שלום עולם مرحبا بالعالم ١٢٣ हिन्दी नमस्ते ক্ষ ' +
  'Привет мир ΑΣ σοφός ไทย ภาษา').split(' ');
const kMarks = ['\u0301', '\u0308', '\u0327', '\u0323', '\u0345', '\u20dd', '\u3099', '\u093c', '\u0e31',
  '\u200d', '\ufe0f', '\u1ab0', '\u1df5'];
const kEmoji = ['😀', '👩‍👩‍👧‍👦', '👍🏽', '🇰🇷', '🏳️‍🌈', '❤️', '🤖', '🧑‍💻', '☺', '🇰', '1️⃣', '🥲', '🫠'];
const kControls = ['\u0000', '\u0001', '\u0007', '\u000b', '\u001f', '\u007f', '\u0085', '\u009f', '\u00ad',
  '\u200b', '\u200e', '\u202e', '\u2028', '\ufeff', '\ufffd', '\ufffe', '\u{e0001}', '\u{e000}'];
const kBlanks = [' ', ' ', ' ', '  ', '   ', '\t', '\n', '\r\n', '\u00a0', '\u3000', '\u2003', '\u1680'];
const kSymbols = [...'.,!?;:\'"()[]{}<>@#$%^&*-_=+/\\|~`', '…', '—', '«', '»', '。', '、', '！', '？', '·', '№', 'ﬁ',
  '½', '²', 'Ⅷ', '㎏', '™', 'Å', '＋', '￦', '┼', '▁', 'Ġ', 'İ', 'ẞ', 'ŉ', 'ǆ'];

function point(source) {
  const range = source.pick([[0x20, 0x7e], [0xa0, 0x24f], [0x250, 0x52f], [0x530, 0x1fff], [0x2000, 0x2bff],
    [0x2e80, 0x9fff], [0xa000, 0xd7ff], [0xe000, 0xffff], [0x10000, 0x1ffff], [0x20000, 0x323af],
    [0xe0000, 0xe01ef]]);
  return String.fromCodePoint(source.between(range[0], range[1]));
}

const syllable = source => String.fromCodePoint(source.between(0xac00, 0xd7a3));
const jamo = source => String.fromCodePoint(source.pick([0x1100, 0x1161, 0x11a8, 0x3131, 0xffa1]) + source.below(19));

/// One piece of text. @param tokens  spellings of added tokens
export function piece(source, tokens) {
  const kinds = [
    [24, () => source.pick(kLatin)],
    [24, () => source.pick(kKorean)],
    [8, () => source.pick(kOthers)],
    [6, () => source.many(1, 6, () => syllable(source))],
    [3, () => source.many(1, 4, () => jamo(source))],
    [4, () => source.pick([...'aeounAEOcC가か']) + source.many(1, 3, () => source.pick(kMarks))],
    [4, () => source.pick(kEmoji)],
    [3, () => source.pick(kControls)],
    [8, () => source.many(1, 3, () => source.pick(kSymbols))],
    [5, () => String(source.below(100000))],
    [4, () => source.many(1, 4, () => point(source))],
    [4, () => source.pick(tokens)],
    [1, () => source.pick(['a', '가', 'xyz', '漢', '😀', 'é']).repeat(source.between(30, 120))],
  ];
  let at = source.below(kinds.reduce((sum, kind) => sum + kind[0], 0));
  for (const [weight, make] of kinds) {
    if (at < weight) return make();
    at -= weight;
  }
}

/// A text of up to about forty pieces; sometimes empty, blank or a single piece.
export function text(source, tokens) {
  if (source.below(60) === 0) return source.pick(['', ' ', '   ', '\n', '\u200d', '\u0301']);
  const length = source.below(8) === 0 ? source.between(20, 40) : source.between(1, 12);
  let out = source.below(10) === 0 ? source.pick(kBlanks) : '';
  for (let i = 0; i < length; ++i) {
    out += piece(source, tokens);
    if (source.below(4) !== 0) out += source.pick(kBlanks);
  }
  return out.toWellFormed === undefined ? out : out.toWellFormed();
}

/// Bytes: a text's UTF-8, one time in twelve damaged.
export function bytes(source, tokens) {
  const whole = Buffer.from(text(source, tokens), 'utf8');
  if (source.below(12) !== 0 || whole.length === 0) return whole;
  const damaged = [...whole];
  for (let n = source.between(1, 4); n > 0; --n) {
    const at = source.below(damaged.length);
    if (source.below(2) === 0) damaged.splice(at, 1);
    else damaged.splice(at, 0, source.pick([0x80, 0xbf, 0xc0, 0xc3, 0xe2, 0xed, 0xf0, 0xf5, 0xff]));
    if (damaged.length === 0) break;
  }
  return Buffer.from(damaged);
}

/// A line to train small vocabularies on.
export function sentence(source) {
  return Array.from({ length: source.between(4, 14) },
    () => source.pick([kLatin, kKorean, kKorean, kOthers][source.below(4)])).join(' ');
}
