#pragma once

#include <cstdint>
#include <optional>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/choices.h>

namespace polyphony::metrics {

/// The class that YAML names. "F1Score" takes its task as an option; "MulticlassF1Score" is fixed
/// to one and has the options of that task only.
/// @tparam Base  a metric with `TaskOptions` and a constructor from kScore and those. TaskOptions
///               has fix(Task) and describe_for(fields, kScore, optional<Task>)
template <class Base, auto kScore, Task... kFixed>
class OfTask : public Base {
  static_assert(sizeof...(kFixed) <= 1);

 public:
  struct Options : Base::TaskOptions {
    Options() { (this->fix(kFixed), ...); }
    void describe(config::Fields& f) {
      std::optional<Task> fixed;
      ((fixed = kFixed), ...);
      this->describe_for(f, kScore, fixed);
    }
  };

  explicit OfTask(const Options& options) : Base(kScore, options) {}
};

/// Name, BinaryName, MulticlassName and MultilabelName for the metric Base with Scores::kName.
#define POLYPHONY_OF_TASK(Base, Scores, Name)                                \
  using Name = OfTask<Base, Scores::k##Name>;                                \
  using Binary##Name = OfTask<Base, Scores::k##Name, Task::kBinary>;         \
  using Multiclass##Name = OfTask<Base, Scores::k##Name, Task::kMulticlass>; \
  using Multilabel##Name = OfTask<Base, Scores::k##Name, Task::kMultilabel>;

/// Options that several metrics share; each only if it means something for the fixed task.
void describe_task(config::Fields& f, Task& task, std::optional<Task> fixed);
void describe_num_classes(config::Fields& f, int& num_classes, Task task,
                          std::optional<Task> fixed);
void describe_num_labels(config::Fields& f, int& num_labels, Task task, std::optional<Task> fixed);
void describe_threshold(config::Fields& f, double& threshold, std::optional<Task> fixed);
void describe_ignore_index(config::Fields& f, std::optional<std::int64_t>& ignore_index);
void describe_torchmetrics(config::Fields& f, TorchMetrics& torchmetrics);

/// Whether a class fixed to a task, or to none, can be of this one.
inline bool may_be(Task task, std::optional<Task> fixed) { return !fixed || *fixed == task; }

/// "Binary", "Multiclass" or "Multilabel": how the classes of a task begin.
const char* task_prefix(Task task);

}  // namespace polyphony::metrics
