// A SentencePiece charsmap as sentencepiece builds them: a darts-clone double array over UTF-8 whose
// values are places in a text of NUL-ended replacements. The rules are NFKC's for some blocks, white
// space to blanks, and a few sequences.

function rules() {
  const map = new Map();
  const blocks = [[0xa0, 0x17f], [0x1e9a, 0x1e9b], [0x2000, 0x206f], [0x2100, 0x218b], [0x3131, 0x318e],
    [0x3380, 0x33dd], [0xfb00, 0xfb06], [0xff01, 0xffdc]];
  for (const [first, last] of blocks) {
    for (let c = first; c <= last; ++c) {
      const text = String.fromCodePoint(c);
      if (text.normalize('NFKC') !== text) map.set(text, text.normalize('NFKC'));
    }
  }
  for (const c of '\t\n\r\u00a0\u1680\u2028\u2029\u3000') map.set(c, ' ');
  for (const c of '\u0001\u0007\u001f\u007f\u200b\u200e\ufeff\ufffd') map.set(c, '');
  for (const letter of 'aeiouAEIOUnc') {
    for (const mark of '\u0300\u0301\u0303\u0308\u0327') {
      const both = letter + mark;
      if (both.normalize('NFC') !== both) map.set(both, both.normalize('NFC'));
    }
  }
  return map;
}

/// Base64 of the charsmap.
export function charsmap() {
  const text = [];
  const keys = [...rules()].map(([from, to]) => {
    const value = text.length;
    text.push(...Buffer.from(to, 'utf8'), 0);
    return { bytes: [...Buffer.from(from, 'utf8')], value };
  }).sort((a, b) => Buffer.compare(Buffer.from(a.bytes), Buffer.from(b.bytes)));
  const units = [], used = [];
  const reserve = at => {
    while (units.length <= (at | 255)) {
      units.push(0);
      used.push(false);
    }
  };
  reserve(0);
  used[0] = true;
  // Places the children of a node (0 is the end of a key) at offset ^ label.
  const build = (node, begin, end, depth) => {
    const labels = [];
    for (let i = begin; i < end; ++i) {
      const label = keys[i].bytes[depth] ?? 0;
      if (labels.length === 0 || labels.at(-1).label !== label) labels.push({ label, first: i });
    }
    let offset = 1;
    const fits = () => labels.every(({ label }) => {
      const at = (node ^ offset) ^ label;
      reserve(at);
      return !used[at];
    });
    while (!fits() || offset >= 1 << 21) ++offset;
    units[node] |= offset << 10;
    const base = node ^ offset;
    for (const { label } of labels) used[base ^ label] = true;
    labels.forEach(({ label, first }, i) => {
      const last = labels[i + 1]?.first ?? end;
      const at = base ^ label;
      if (label === 0) {
        units[node] |= 1 << 8;
        units[at] = (keys[first].value | 0x80000000) >>> 0;
      } else {
        units[at] |= label;
        build(at, first, last, depth + 1);
      }
    });
  };
  build(0, 0, keys.length, 0);
  const bytes = Buffer.alloc(4 + units.length * 4 + text.length);
  bytes.writeUInt32LE(units.length * 4, 0);
  units.forEach((unit, i) => bytes.writeUInt32LE(unit >>> 0, 4 + 4 * i));
  Buffer.from(text).copy(bytes, 4 + units.length * 4);
  return bytes.toString('base64');
}
