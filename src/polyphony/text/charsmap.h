#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/text/aligned_text.h>

namespace polyphony::text {

/// The replacements that a SentencePiece model carries: a double array over UTF-8 whose values are
/// places in a text of NUL-ended replacements. Source: sentencepiece, builder.cc
/// (`precompiled_charsmap`) and darts-clone's unit layout.
class Charsmap {
 public:
  /// @param bytes  little-endian size of the array in bytes, the array, the replacements
  /// @throws DataError naming `place` where they do not fit together
  Charsmap(std::string_view bytes, const std::string& place);

  /// As Hugging Face's `Precompiled`: a grapheme cluster of fewer than 6 bytes is looked up whole,
  /// then each code point; the shortest prefix that has an entry replaces all that was looked up.
  void apply(AlignedText& text) const;

 private:
  std::optional<std::string_view> find(std::string_view key) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace polyphony::text
