#include <polyphony/metrics/stat_score_metrics.h>

#include <algorithm>

#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/counting.h>

namespace polyphony::metrics {
namespace {

const char* name_of(StatScore score) {
  switch (score) {
    case StatScore::kAccuracy:
      return "Accuracy";
    case StatScore::kF1Score:
      return "F1Score";
    case StatScore::kFBetaScore:
      return "FBetaScore";
    case StatScore::kPrecision:
      return "Precision";
    case StatScore::kRecall:
      return "Recall";
    case StatScore::kSpecificity:
      return "Specificity";
    case StatScore::kStatScores:
      break;
  }
  return "StatScores";
}

}  // namespace

void StatScoreOptions::describe_for(config::Fields& f, StatScore score, std::optional<Task> fixed) {
  describe_task(f, task, fixed);
  describe_num_classes(f, num_classes, task, fixed);
  describe_num_labels(f, num_labels, task, fixed);
  describe_threshold(f, threshold, fixed);
  if (score == StatScore::kFBetaScore) {
    f("beta", beta, "weight of recall over precision");
    f.check("beta", beta > 0, "above 0");
  }
  if (fixed != Task::kBinary) f("average", average, "how classes become one number; null: none");
  if (may_be(Task::kMulticlass, fixed)) {
    f("top_k", top_k, "how many classes a row may name (multiclass)");
    f.check("top_k", top_k >= 1 && (task != Task::kMulticlass || top_k <= std::max(num_classes, 1)),
            "at least 1, at most num_classes");
  }
  f("multidim_average", multidim_average,
    "positions of a row: counted as rows, or one value for each row");
  describe_ignore_index(f, ignore_index);
  describe_torchmetrics(f, torchmetrics);
}

std::string StatScoreMetric::name() const {
  return std::string(task_prefix(options_.task)) + name_of(score_);
}

bool StatScoreMetric::counts_by_confusion() const {
  return options_.task == Task::kMulticlass && options_.top_k == 1 &&
         options_.multidim_average == Multidim::kGlobal;
}

std::shared_ptr<const Accumulator> StatScoreMetric::accumulator() const {
  if (counts_by_confusion()) return confusion_counts(options_.num_classes, options_.ignore_index);
  if (options_.task == Task::kMulticlass) {
    return top_k_counts(
        {options_.num_classes, options_.top_k, options_.multidim_average, options_.ignore_index});
  }
  LabelCounts counts;
  if (options_.task == Task::kMultilabel) counts.labels = options_.num_labels;
  counts.threshold = options_.threshold;
  counts.multidim = options_.multidim_average;
  counts.ignore_index = options_.ignore_index;
  return label_counts(counts);
}

double StatScoreMetric::score_of(const ClassCounts& counts) const {
  switch (score_) {
    case StatScore::kAccuracy:
      return options_.task == Task::kMulticlass ? recall(counts) : agreement(counts);
    case StatScore::kF1Score:
      return f1(counts);
    case StatScore::kFBetaScore:
      return f_beta(counts, options_.beta);
    case StatScore::kPrecision:
      return precision(counts);
    case StatScore::kRecall:
      return recall(counts);
    default:
      return specificity(counts);
  }
}

Absent StatScoreMetric::absent() const {
  if (options_.torchmetrics == TorchMetrics::k0_11_4 || options_.task != Task::kMulticlass) {
    return Absent::kZero;
  }
  const bool by_support = score_ == StatScore::kAccuracy || score_ == StatScore::kPrecision ||
                          score_ == StatScore::kRecall;
  return options_.top_k > 1 && by_support ? Absent::kSkipUnsupported : Absent::kSkip;
}

void StatScoreMetric::append(std::span<const ClassCounts> classes, Value& value) const {
  const Average average = options_.average.value_or(Average::kNone);
  const bool each = options_.task == Task::kBinary || average == Average::kNone;
  if (score_ == StatScore::kStatScores) {
    const auto add = [&](const auto& five) {
      value.data.insert(value.data.end(), five.begin(), five.end());
    };
    if (!each) return add(stat_scores(classes, average));
    for (const ClassCounts& one : classes) add(stat_scores(one));
  } else if (each) {
    for (const ClassCounts& one : classes) value.data.push_back(score_of(one));
  } else {
    value.data.push_back(averaged(classes, {average, absent()},
                                  [this](const ClassCounts& one) { return score_of(one); }));
  }
}

Value StatScoreMetric::compute(View state) const {
  const bool samplewise = options_.multidim_average == Multidim::kSamplewise;
  const std::vector<ClassCounts> counts = counts_by_confusion()
                                              ? per_class(state.sums)
                                              : per_label(samplewise ? state.rows : state.sums);
  std::size_t classes = 1;
  if (options_.task == Task::kMulticlass) classes = static_cast<std::size_t>(options_.num_classes);
  if (options_.task == Task::kMultilabel) classes = static_cast<std::size_t>(options_.num_labels);

  Value value;
  for (std::size_t at = 0; at + classes <= counts.size(); at += classes) {
    append(std::span(counts).subspan(at, classes), value);
  }
  if (samplewise) value.shape.push_back(static_cast<std::int64_t>(counts.size() / classes));
  const bool each = options_.average.value_or(Average::kNone) == Average::kNone;
  if (options_.task != Task::kBinary && each) {
    value.shape.push_back(static_cast<std::int64_t>(classes));
  }
  if (score_ == StatScore::kStatScores) value.shape.push_back(5);
  return value;
}

#define POLYPHONY_REGISTER_STAT_SCORE(Name, DOC)                                          \
  POLYPHONY_REGISTER(Metric, Name, "polyphony.metrics." #Name, DOC)                       \
  POLYPHONY_REGISTER(Metric, Binary##Name, "polyphony.metrics.Binary" #Name, DOC)         \
  POLYPHONY_REGISTER(Metric, Multiclass##Name, "polyphony.metrics.Multiclass" #Name, DOC) \
  POLYPHONY_REGISTER(Metric, Multilabel##Name, "polyphony.metrics.Multilabel" #Name, DOC)

POLYPHONY_REGISTER_STAT_SCORE(Accuracy, "share of right decisions (macro: mean recall)")
POLYPHONY_REGISTER_STAT_SCORE(F1Score, "harmonic mean of precision and recall")
POLYPHONY_REGISTER_STAT_SCORE(FBetaScore, "mean of precision and recall, recall weighed by beta")
POLYPHONY_REGISTER_STAT_SCORE(Precision, "share of a class's predictions that are right")
POLYPHONY_REGISTER_STAT_SCORE(Recall, "share of a class's rows that are found")
POLYPHONY_REGISTER_STAT_SCORE(Specificity, "share of the other rows that are left alone")
POLYPHONY_REGISTER_STAT_SCORE(StatScores, "counts: tp, fp, tn, fn, support")

}  // namespace polyphony::metrics
