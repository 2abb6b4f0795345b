#include <polyphony/metrics/confusion_metrics.h>

#include <array>

#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/counting.h>

namespace polyphony::metrics {
namespace {

constexpr std::size_t kBlock = 4;

const char* name_of(ConfusionScore score) {
  if (score == ConfusionScore::kConfusionMatrix) return "ConfusionMatrix";
  return score == ConfusionScore::kCohenKappa ? "CohenKappa" : "MatthewsCorrCoef";
}

}  // namespace

void ConfusionOptions::describe_for(config::Fields& f, ConfusionScore score,
                                    std::optional<Task> fixed) {
  describe_task(f, task, fixed);
  f.check("task", score != ConfusionScore::kCohenKappa || task != Task::kMultilabel,
          "binary or multiclass: there is no kappa of several labels");
  describe_num_classes(f, num_classes, task, fixed);
  if (score != ConfusionScore::kCohenKappa) describe_num_labels(f, num_labels, task, fixed);
  describe_threshold(f, threshold, fixed);
  if (score == ConfusionScore::kConfusionMatrix) {
    f("normalize", normalize, "what counts are divided by; null: none");
  }
  if (score == ConfusionScore::kCohenKappa) {
    f("weights", weights, "how an error weighs by the distance of its classes; null: none");
  }
  describe_ignore_index(f, ignore_index);
  if (score == ConfusionScore::kMatthewsCorrCoef) describe_torchmetrics(f, torchmetrics);
}

std::string ConfusionMetric::name() const {
  return std::string(task_prefix(options_.task)) + name_of(score_);
}

std::shared_ptr<const Accumulator> ConfusionMetric::accumulator() const {
  if (options_.task == Task::kMulticlass) {
    return confusion_counts(options_.num_classes, options_.ignore_index);
  }
  LabelCounts counts;
  if (options_.task == Task::kMultilabel) {
    counts.labels = options_.num_labels;
  } else {
    counts.judged = Judged::kCounted;
  }
  counts.threshold = options_.threshold;
  counts.ignore_index = options_.ignore_index;
  return label_counts(counts);
}

Value ConfusionMetric::compute(View state) const {
  if (score_ == ConfusionScore::kCohenKappa) {
    return Value::number(cohen_kappa(state.sums, options_.weights.value_or(KappaWeights::kNone)));
  }
  const bool multilabel = options_.task == Task::kMultilabel;
  if (score_ == ConfusionScore::kMatthewsCorrCoef) {
    if (!multilabel) return Value::number(matthews_corrcoef(state.sums, options_.torchmetrics));
    std::array<double, kBlock> pooled{};
    for (std::size_t i = 0; i < state.sums.size(); ++i) pooled[i % kBlock] += state.sums[i];
    return Value::number(matthews_corrcoef(pooled, options_.torchmetrics));
  }
  const Normalize by = options_.normalize.value_or(Normalize::kNone);
  if (!multilabel) {
    const std::int64_t classes = options_.task == Task::kBinary ? 2 : options_.num_classes;
    return {normalized(state.sums, by), {classes, classes}};
  }
  Value value{{}, {options_.num_labels, 2, 2}};
  for (std::size_t at = 0; at < state.sums.size(); at += kBlock) {
    const std::vector<double> one = normalized(state.sums.subspan(at, kBlock), by);
    value.data.insert(value.data.end(), one.begin(), one.end());
  }
  return value;
}

#define POLYPHONY_REGISTER_CONFUSION(Name, DOC)                                   \
  POLYPHONY_REGISTER(Metric, Name, "polyphony.metrics." #Name, DOC)               \
  POLYPHONY_REGISTER(Metric, Binary##Name, "polyphony.metrics.Binary" #Name, DOC) \
  POLYPHONY_REGISTER(Metric, Multiclass##Name, "polyphony.metrics.Multiclass" #Name, DOC)

POLYPHONY_REGISTER_CONFUSION(ConfusionMatrix, "how often each class was taken for each other")
POLYPHONY_REGISTER_CONFUSION(CohenKappa, "agreement of truth and prediction beyond chance")
POLYPHONY_REGISTER_CONFUSION(MatthewsCorrCoef, "correlation of truth and prediction")
POLYPHONY_REGISTER(Metric, MultilabelConfusionMatrix, "polyphony.metrics.MultilabelConfusionMatrix",
                   "how often each label was and was not given")
POLYPHONY_REGISTER(Metric, MultilabelMatthewsCorrCoef,
                   "polyphony.metrics.MultilabelMatthewsCorrCoef",
                   "correlation of truth and prediction over all labels")

}  // namespace polyphony::metrics
