#pragma once

#include <memory>

#include <polyphony/text/json_reader.h>
#include <polyphony/text/pieces.h>

namespace polyphony::text {

/// A step that divides a text into words, and may rewrite them.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void pre_tokenize(Pieces& pieces) const = 0;
};

/// What `tokenizer.json` calls a pre_tokenizer: BertPreTokenizer, ByteLevel, Whitespace,
/// WhitespaceSplit, Metaspace, Punctuation, Digits, Split, CharDelimiterSplit, FixedLength,
/// Sequence.
/// @throws DataError naming place and what is wrong
std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonReader& json);

}  // namespace polyphony::text
