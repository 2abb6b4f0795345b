#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/confusion.h>
#include <polyphony/metrics/metric.h>
#include <polyphony/metrics/task_options.h>

namespace polyphony::metrics {

/// The metrics that are made of a whole confusion matrix.
enum class ConfusionScore { kConfusionMatrix, kCohenKappa, kMatthewsCorrCoef };

struct ConfusionOptions {
  Task task = Task::kMulticlass;
  int num_classes = 0;
  int num_labels = 0;
  double threshold = 0.5;
  std::optional<Normalize> normalize;   ///< ConfusionMatrix
  std::optional<KappaWeights> weights;  ///< CohenKappa
  std::optional<std::int64_t> ignore_index;
  TorchMetrics torchmetrics = TorchMetrics::k0_11_4;

  void fix(Task one) { task = one; }
  void describe_for(config::Fields& f, ConfusionScore score, std::optional<Task> fixed);
};

class ConfusionMetric : public Metric {
 public:
  using TaskOptions = ConfusionOptions;
  ConfusionMetric(ConfusionScore score, ConfusionOptions options)
      : score_(score), options_(options) {}

  std::string name() const override;
  std::shared_ptr<const Accumulator> accumulator() const override;
  /// ConfusionMatrix: [classes, classes], row = truth; multilabel: [labels, 2, 2].
  Value compute(View state) const override;

 private:
  ConfusionScore score_;
  ConfusionOptions options_;
};

POLYPHONY_OF_TASK(ConfusionMetric, ConfusionScore, ConfusionMatrix)
POLYPHONY_OF_TASK(ConfusionMetric, ConfusionScore, CohenKappa)
POLYPHONY_OF_TASK(ConfusionMetric, ConfusionScore, MatthewsCorrCoef)

}  // namespace polyphony::metrics
