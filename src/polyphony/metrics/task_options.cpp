#include <polyphony/metrics/task_options.h>

namespace polyphony::metrics {

const char* task_prefix(Task task) {
  if (task == Task::kBinary) return "Binary";
  return task == Task::kMulticlass ? "Multiclass" : "Multilabel";
}

void describe_task(config::Fields& f, Task& task, std::optional<Task> fixed) {
  if (!fixed) f.required("task", task, "what a label is");
}

void describe_num_classes(config::Fields& f, int& num_classes, Task task,
                          std::optional<Task> fixed) {
  if (!may_be(Task::kMulticlass, fixed)) return;
  const char* doc = "number of classes of a multiclass task";
  fixed ? f.required("num_classes", num_classes, doc) : f("num_classes", num_classes, doc);
  f.check("num_classes", task != Task::kMulticlass || num_classes >= 2, "at least 2");
}

void describe_num_labels(config::Fields& f, int& num_labels, Task task, std::optional<Task> fixed) {
  if (!may_be(Task::kMultilabel, fixed)) return;
  const char* doc = "number of labels of a multilabel task";
  fixed ? f.required("num_labels", num_labels, doc) : f("num_labels", num_labels, doc);
  f.check("num_labels", task != Task::kMultilabel || num_labels >= 2, "at least 2");
}

void describe_threshold(config::Fields& f, double& threshold, std::optional<Task> fixed) {
  if (fixed == Task::kMulticlass) return;
  f("threshold", threshold, "a probability above it answers yes (binary and multilabel tasks)");
  f.check("threshold", threshold >= 0 && threshold <= 1, "in [0, 1]");
}

void describe_ignore_index(config::Fields& f, std::optional<std::int64_t>& ignore_index) {
  f("ignore_index", ignore_index, "label whose rows do not count");
}

void describe_torchmetrics(config::Fields& f, TorchMetrics& torchmetrics) {
  f("torchmetrics", torchmetrics,
    "release whose rules hold where two differ; 0.11.4: a class that is absent from truth and "
    "predictions counts as 0 in a macro average, 1.4.3: it is left out");
}

}  // namespace polyphony::metrics
