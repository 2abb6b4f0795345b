#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <polyphony/text/aligned_text.h>

namespace polyphony::text {

/// One text, or a pair of texts, as a model reads it. All vectors but `overflow` are of one length.
struct Encoding {
  std::vector<std::uint32_t> ids;
  std::vector<std::uint32_t> type_ids;            ///< which part of the input: 0, 1, …
  std::vector<std::uint8_t> attention_mask;       ///< 1; 0: padding
  std::vector<std::uint8_t> special_tokens_mask;  ///< 1: no part of the text
  std::vector<Span> offsets;                      ///< code points of the text; {0, 0}: none
  std::vector<std::int32_t> words;                ///< index of the word within its text, or -1
  std::vector<Encoding> overflow;                 ///< what truncation cut off, window by window
  std::size_t replaced = 0;  ///< places of the text that were not UTF-8 and count as U+FFFD

  std::size_t size() const { return ids.size(); }
};

enum class TruncationStrategy { kDoNotTruncate, kLongestFirst, kOnlyFirst, kOnlySecond };
enum class PaddingStrategy { kDoNotPad, kLongest, kMaxLength };
enum class Side { kRight, kLeft };

struct Truncation {
  TruncationStrategy strategy = TruncationStrategy::kDoNotTruncate;
  std::size_t max_length = 0;  ///< tokens, the special ones included; 0: the model's own maximum
  std::size_t stride = 0;      ///< tokens that two windows share
  Side side = Side::kRight;    ///< where tokens go
};

struct Padding {
  PaddingStrategy strategy = PaddingStrategy::kDoNotPad;
  std::size_t length = 0;       ///< for kMaxLength; 0: the truncation's max_length
  std::size_t multiple_of = 0;  ///< lengths are rounded up to it; 0: they are not
  Side side = Side::kRight;
  std::uint32_t id = 0, type_id = 0;
};

struct EncodeOptions {
  bool add_special_tokens = true;
  Truncation truncation;
  Padding padding;
};

/// Brings all to one length. @param padding  with its length resolved
void pad(std::span<Encoding> encodings, const Padding& padding);

/// Encodings of one length side by side, row-major [rows, columns], as tensors want them.
struct TokenBatch {
  std::size_t rows = 0, columns = 0;
  std::vector<std::int64_t> ids, type_ids, attention_mask;
};

/// @throws DataError where lengths differ: pad first
TokenBatch stack(std::span<const Encoding> encodings);

}  // namespace polyphony::text
