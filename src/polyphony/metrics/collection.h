#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/fields.h>
#include <polyphony/metrics/classification.h>
#include <polyphony/metrics/confusion.h>

namespace polyphony::metrics {

struct MetricCollectionOptions {
  int num_classes = 2;
  Average average = Average::kMacro;
  AbsentClasses absent_classes = AbsentClasses::kLeaveOut;

  void describe(config::Fields& f);
};

/// F1 and accuracy over all rows since the last reset, under torchmetrics' names.
class MetricCollection {
 public:
  explicit MetricCollection(MetricCollectionOptions options);

  /// See ConfusionMatrix::update.
  void update(const at::Tensor& logits_or_preds, const at::Tensor& target);
  /// PREFIX + "MulticlassF1Score" and PREFIX + "MulticlassAccuracy", in [0, 1].
  std::vector<std::pair<std::string, double>> compute(const std::string& prefix) const;
  void reset();

  /// The counts so far, for an exact resume.
  std::vector<std::int64_t> state() const;
  /// @throws DataError where the counts are of another number of classes
  void load_state(const std::vector<std::int64_t>& counts);
  const ConfusionMatrix& confusion() const { return confusion_; }

 private:
  MetricCollectionOptions options_;
  ConfusionMatrix confusion_;
};

}  // namespace polyphony::metrics
