#include <polyphony/text/encoding.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::text {
namespace {

template <class T>
void pad_values(std::vector<T>& values, std::size_t length, Side side, T value) {
  values.insert(side == Side::kRight ? values.end() : values.begin(), length - values.size(),
                value);
}

void pad_one(Encoding& encoding, std::size_t length, const Padding& padding) {
  for (Encoding& window : encoding.overflow) pad_one(window, length, padding);
  if (encoding.size() >= length) return;
  pad_values(encoding.ids, length, padding.side, padding.id);
  pad_values(encoding.type_ids, length, padding.side, padding.type_id);
  pad_values(encoding.attention_mask, length, padding.side, std::uint8_t{0});
  pad_values(encoding.special_tokens_mask, length, padding.side, std::uint8_t{1});
  pad_values(encoding.offsets, length, padding.side, Span{});
  pad_values(encoding.words, length, padding.side, std::int32_t{-1});
}

}  // namespace

void pad(std::span<Encoding> encodings, const Padding& padding) {
  if (padding.strategy == PaddingStrategy::kDoNotPad) return;
  std::size_t length = padding.length;
  if (padding.strategy == PaddingStrategy::kLongest) {
    length = 0;
    for (const Encoding& encoding : encodings) length = std::max(length, encoding.size());
  }
  if (padding.multiple_of > 0)
    length = (length + padding.multiple_of - 1) / padding.multiple_of * padding.multiple_of;
  for (Encoding& encoding : encodings) pad_one(encoding, length, padding);
}

TokenBatch stack(std::span<const Encoding> encodings) {
  TokenBatch batch;
  batch.rows = encodings.size();
  batch.columns = encodings.empty() ? 0 : encodings[0].size();
  for (const Encoding& encoding : encodings) {
    if (encoding.size() != batch.columns)
      throw DataError(fmt::format("tokenizer: rows of {} and {} tokens in one batch", batch.columns,
                                  encoding.size()),
                      "pad to the longest or to a length");
    batch.ids.insert(batch.ids.end(), encoding.ids.begin(), encoding.ids.end());
    batch.type_ids.insert(batch.type_ids.end(), encoding.type_ids.begin(), encoding.type_ids.end());
    batch.attention_mask.insert(batch.attention_mask.end(), encoding.attention_mask.begin(),
                                encoding.attention_mask.end());
  }
  return batch;
}

}  // namespace polyphony::text
