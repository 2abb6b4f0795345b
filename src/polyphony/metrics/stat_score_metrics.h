#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <polyphony/config/fields.h>
#include <polyphony/metrics/choices.h>
#include <polyphony/metrics/counts.h>
#include <polyphony/metrics/metric.h>

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

  /// @param fixed  the task where the class's name says it: its options only
  void describe_for(config::Fields& f, StatScore score, std::optional<Task> fixed);
};

class StatScoreMetric : public Metric {
 public:
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

/// The class that YAML names: "F1Score" takes its task as an option, "MulticlassF1Score" is fixed
/// to one and, as in TorchMetrics, averages by macro unless told otherwise.
template <StatScore kScore, Task... kFixed>
class StatScoreOf : public StatScoreMetric {
 public:
  struct Options : StatScoreOptions {
    Options() {
      if constexpr (sizeof...(kFixed) > 0) {
        task = (kFixed, ...);
        average = Average::kMacro;
      }
    }
    void describe(config::Fields& f) {
      if constexpr (sizeof...(kFixed) > 0) {
        describe_for(f, kScore, (kFixed, ...));
      } else {
        describe_for(f, kScore, std::nullopt);
      }
    }
  };

  explicit StatScoreOf(const Options& options) : StatScoreMetric(kScore, options) {}
};

#define POLYPHONY_STAT_SCORE(Name)                                             \
  using Name = StatScoreOf<StatScore::k##Name>;                                \
  using Binary##Name = StatScoreOf<StatScore::k##Name, Task::kBinary>;         \
  using Multiclass##Name = StatScoreOf<StatScore::k##Name, Task::kMulticlass>; \
  using Multilabel##Name = StatScoreOf<StatScore::k##Name, Task::kMultilabel>;
POLYPHONY_STAT_SCORE(Accuracy)
POLYPHONY_STAT_SCORE(F1Score)
POLYPHONY_STAT_SCORE(FBetaScore)
POLYPHONY_STAT_SCORE(Precision)
POLYPHONY_STAT_SCORE(Recall)
POLYPHONY_STAT_SCORE(Specificity)
POLYPHONY_STAT_SCORE(StatScores)
#undef POLYPHONY_STAT_SCORE

/// Options that several families share.
void describe_task(config::Fields& f, Task& task, std::optional<Task> fixed);
void describe_num_classes(config::Fields& f, int& num_classes, Task task,
                          std::optional<Task> fixed);
void describe_num_labels(config::Fields& f, int& num_labels, Task task, std::optional<Task> fixed);
void describe_threshold(config::Fields& f, double& threshold, std::optional<Task> fixed);
void describe_ignore_index(config::Fields& f, std::optional<std::int64_t>& ignore_index);
void describe_torchmetrics(config::Fields& f, TorchMetrics& torchmetrics);
/// "Binary", "Multiclass" or "Multilabel": how the classes of a task begin.
const char* task_prefix(Task task);

}  // namespace polyphony::metrics
