#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/config/fields.h>
#include <polyphony/metrics/confusion.h>
#include <polyphony/metrics/metric.h>

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

  void describe_for(config::Fields& f, ConfusionScore score, std::optional<Task> fixed);
};

class ConfusionMetric : public Metric {
 public:
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

template <ConfusionScore kScore, Task... kFixed>
class ConfusionOf : public ConfusionMetric {
 public:
  struct Options : ConfusionOptions {
    Options() {
      if constexpr (sizeof...(kFixed) > 0) task = (kFixed, ...);
    }
    void describe(config::Fields& f) {
      if constexpr (sizeof...(kFixed) > 0) {
        describe_for(f, kScore, (kFixed, ...));
      } else {
        describe_for(f, kScore, std::nullopt);
      }
    }
  };

  explicit ConfusionOf(const Options& options) : ConfusionMetric(kScore, options) {}
};

#define POLYPHONY_CONFUSION_SCORE(Name)                                             \
  using Name = ConfusionOf<ConfusionScore::k##Name>;                                \
  using Binary##Name = ConfusionOf<ConfusionScore::k##Name, Task::kBinary>;         \
  using Multiclass##Name = ConfusionOf<ConfusionScore::k##Name, Task::kMulticlass>; \
  using Multilabel##Name = ConfusionOf<ConfusionScore::k##Name, Task::kMultilabel>;
POLYPHONY_CONFUSION_SCORE(ConfusionMatrix)
POLYPHONY_CONFUSION_SCORE(CohenKappa)
POLYPHONY_CONFUSION_SCORE(MatthewsCorrCoef)
#undef POLYPHONY_CONFUSION_SCORE

}  // namespace polyphony::metrics
