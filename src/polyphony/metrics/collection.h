#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/metrics/classification.h>

namespace at {
class Tensor;
}

namespace polyphony::metrics {

struct MetricCollectionOptions {
  int num_classes = 2;
  Average average = Average::kMacro;
  AbsentClasses absent = AbsentClasses::kLeaveOut;
};

/// F1 and accuracy over all rows since the last reset, under torchmetrics' names.
class MetricCollection {
 public:
  explicit MetricCollection(MetricCollectionOptions options);

  /// Counts a batch. Of equal logits the first is the prediction.
  /// @param logits  float [rows, classes]; @param target  int64 [rows], in [0, classes)
  /// @throws DataError naming a label out of range
  void update(const at::Tensor& logits, const at::Tensor& target);
  /// PREFIX + "MulticlassF1Score" and PREFIX + "MulticlassAccuracy", in [0, 1].
  std::vector<std::pair<std::string, double>> compute(const std::string& prefix) const;
  void reset();

  /// The counts so far [classes * classes], row = truth, for an exact resume.
  const std::vector<std::int64_t>& state() const { return counts_; }
  /// @throws DataError where the counts are of another number of classes
  void load_state(const std::vector<std::int64_t>& counts);

 private:
  MetricCollectionOptions options_;
  std::vector<std::int64_t> counts_;
};

}  // namespace polyphony::metrics
