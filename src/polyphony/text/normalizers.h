#pragma once

#include <memory>

#include <polyphony/text/aligned_text.h>
#include <polyphony/text/json_reader.h>

namespace polyphony::text {

/// A step that rewrites a text before it is split.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void normalize(AlignedText& text) const = 0;
};

/// What `tokenizer.json` calls a normalizer: BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase,
/// StripAccents, Strip, Replace, Prepend, Precompiled, Nmt, ByteLevel, Sequence.
/// @throws DataError naming place and what is wrong
std::unique_ptr<Normalizer> read_normalizer(const JsonReader& json);

/// The code point that stands for a byte in byte-level vocabularies. Source: GPT-2's encoder.
char32_t point_of_byte(unsigned char byte);
/// The byte that a code point stands for, or -1.
int byte_of_point(char32_t c);

}  // namespace polyphony::text
