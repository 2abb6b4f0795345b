#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/choices.h>
#include <polyphony/metrics/counts.h>
#include <polyphony/metrics/metric.h>
#include <polyphony/metrics/task_options.h>

namespace polyphony::metrics {

/// The metrics that are made of tp, fp, tn and fn.
enum class StatScore {
  kAccuracy,
  kF1Score,
  kFBetaScore,
  kPrecision,
  kRecall,
  kSpecificity,
  kStatScores,
};

/// TorchMetrics' arguments. `average` is null or none for one value a class.
struct StatScoreOptions {
  Task task = Task::kMulticlass;
  int num_classes = 0;
  int num_labels = 0;
  double threshold = 0.5;
  double beta = 1.0;
  int top_k = 1;
  std::optional<Average> average = Average::kMicro;
  Multidim multidim_average = Multidim::kGlobal;
  std::optional<std::int64_t> ignore_index;
  TorchMetrics torchmetrics = TorchMetrics::k0_11_4;

  /// As in TorchMetrics, a class of one task averages by macro unless told otherwise.
  void fix(Task one) {
    task = one;
    average = Average::kMacro;
  }
  /// @param fixed  the task if the class's name says it: its options only
  void describe_for(config::Fields& f, StatScore score, std::optional<Task> fixed);
};

class StatScoreMetric : public Metric {
 public:
  using TaskOptions = StatScoreOptions;
  StatScoreMetric(StatScore score, StatScoreOptions options) : score_(score), options_(options) {}

  std::string name() const override;
  std::shared_ptr<const Accumulator> accumulator() const override;
  Value compute(View state) const override;

 private:
  bool counts_by_confusion() const;
  double score_of(const ClassCounts& counts) const;
  Absent absent() const;
  /// One group of classes: its value, or its values one after the other.
  void append(std::span<const ClassCounts> classes, Value& value) const;

  StatScore score_;
  StatScoreOptions options_;
};

POLYPHONY_OF_TASK(StatScoreMetric, StatScore, Accuracy)
POLYPHONY_OF_TASK(StatScoreMetric, StatScore, F1Score)
POLYPHONY_OF_TASK(StatScoreMetric, StatScore, FBetaScore)
POLYPHONY_OF_TASK(StatScoreMetric, StatScore, Precision)
POLYPHONY_OF_TASK(StatScoreMetric, StatScore, Recall)
POLYPHONY_OF_TASK(StatScoreMetric, StatScore, Specificity)
POLYPHONY_OF_TASK(StatScoreMetric, StatScore, StatScores)

}  // namespace polyphony::metrics
