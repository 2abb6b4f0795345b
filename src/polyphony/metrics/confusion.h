#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace at {
class Tensor;
}

namespace polyphony::metrics {

/// Counts of (truth, prediction) pairs; exact over any number of batches.
class ConfusionMatrix {
 public:
  /// @param classes  at least 1
  explicit ConfusionMatrix(std::int64_t classes);

  /// Counts a batch. Of equal logits the first is the prediction.
  /// @param logits_or_preds  float [rows, classes] or integer [rows]
  /// @param target           integer [rows], in [0, classes)
  /// @throws DataError naming a value out of range; nothing is counted then
  void update(const at::Tensor& logits_or_preds, const at::Tensor& target);
  /// Adds counts of another matrix of the same size, e.g. of a checkpoint or another process.
  /// @throws DataError where the size differs
  void add(std::span<const std::int64_t> counts);
  void reset();

  std::int64_t classes() const { return classes_; }
  /// [classes * classes], row-major, row = truth.
  std::span<const std::int64_t> counts() const { return counts_; }

 private:
  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
};

}  // namespace polyphony::metrics
