#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <polyphony/config/yaml/node.h>
#include <polyphony/data/dataset.h>
#include <polyphony/models/model.h>

namespace polyphony::models {

inline constexpr std::int64_t kMels = 8;
inline constexpr std::int64_t kNgrams = 3;

/// Items whose values depend on their place in the batch only, however far they are padded. Padding
/// of log-mels is rubbish, as a loader may leave it; that of n-grams is 0.
/// @param frames, positions  lengths of each item; @param most_frames, most_positions  padded to
inline data::Batch make_batch(const std::vector<std::int64_t>& frames,
                              const std::vector<std::int64_t>& positions, std::int64_t most_frames,
                              std::int64_t most_positions) {
  const auto items = static_cast<std::int64_t>(frames.size());
  const at::Tensor log_mel = at::full({items, most_frames, kMels}, 7.5);
  const at::Tensor ngrams = at::zeros({items, most_positions, kNgrams}, at::kLong);
  for (std::int64_t i = 0; i < items; ++i) {
    const auto at_item = static_cast<std::size_t>(i);
    at::manual_seed(static_cast<std::uint64_t>(100 + i));
    log_mel[i].narrow(0, 0, frames[at_item]).copy_(at::randn({frames[at_item], kMels}) - 4.0);
    const at::Tensor numbers = at::randint(1, 1 << 20, {positions[at_item], kNgrams}, at::kLong);
    ngrams[i].narrow(0, 0, positions[at_item]).copy_(numbers);
  }
  data::Batch batch;
  batch.set("log_mel", log_mel);
  batch.set("log_mel_length", at::tensor(frames, at::kLong));
  batch.set("ngrams", ngrams);
  batch.set("ngrams_length", at::tensor(positions, at::kLong));
  return batch;
}

/// A mapping with nothing but `_target_`.
inline config::Node target(const std::string& name) {
  config::Node node = config::Node::map();
  node.set("_target_", name);
  return node;
}

inline double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

inline bool all_finite(const at::Tensor& x) { return at::isfinite(x).all().item<bool>(); }

}  // namespace polyphony::models
