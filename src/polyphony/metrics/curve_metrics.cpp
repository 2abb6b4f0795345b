#include <polyphony/metrics/curve_metrics.h>

#include <cmath>
#include <limits>

#include <polyphony/config/bind/registry.h>

namespace polyphony::metrics {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// Mean over the classes that have a value; 0 if all weights are.
double averaged(const std::vector<double>& scores, const std::vector<Curve>& curves,
                Average average) {
  double sum = 0;
  double weights = 0;
  bool defined = false;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) continue;
    const double weight = average == Average::kWeighted ? curves[i].positives : 1.0;
    sum += weight * scores[i];
    weights += weight;
    defined = true;
  }
  if (!defined) return average == Average::kWeighted ? 0.0 : kUndefined;
  return weights > 0 ? sum / weights : 0.0;
}

}  // namespace

void CurveOptions::describe_for(config::Fields& f, CurveScore score, std::optional<Task> fixed) {
  describe_task(f, task, fixed);
  describe_num_classes(f, num_classes, task, fixed);
  describe_num_labels(f, num_labels, task, fixed);
  if (fixed != Task::kBinary) {
    f("average", average, "how classes become one number; null: none; micro: multilabel only");
    f.check("average", average != Average::kMicro || task == Task::kMultilabel,
            "macro, weighted or none: micro is for multilabel tasks");
  }
  f("thresholds", thresholds,
    "null: every distinct score; a number of even steps from 0 to 1, or a rising list: less "
    "memory");
  if (score == CurveScore::kAUROC && (!fixed || *fixed == Task::kBinary)) {
    f("max_fpr", max_fpr, "area up to this false-positive rate (binary)");
    f.check("max_fpr", !max_fpr || (*max_fpr > 0 && *max_fpr <= 1), "above 0, at most 1");
  }
  describe_ignore_index(f, ignore_index);
  if (score == CurveScore::kAveragePrecision) describe_torchmetrics(f, torchmetrics);
}

CurveMetric::CurveMetric(CurveScore score, CurveOptions options)
    : score_(score), options_(std::move(options)) {
  scores_.task = options_.task;
  if (options_.task == Task::kMulticlass) scores_.classes = options_.num_classes;
  if (options_.task == Task::kMultilabel) scores_.classes = options_.num_labels;
  scores_.thresholds = options_.thresholds;
  scores_.ignore_index = options_.ignore_index;
}

std::string CurveMetric::name() const {
  return std::string(task_prefix(options_.task)) +
         (score_ == CurveScore::kAUROC ? "AUROC" : "AveragePrecision");
}

std::shared_ptr<const Accumulator> CurveMetric::accumulator() const { return score_rows(scores_); }

double CurveMetric::score_of(const Curve& curve, bool only_label_zero) const {
  const bool exact = options_.thresholds.exact();
  if (exact && curve.positives + curve.negatives == 0) return kUndefined;
  if (score_ == CurveScore::kAUROC) {
    return auroc(curve, options_.task == Task::kBinary ? options_.max_fpr : std::nullopt);
  }
  // 1.4.3 sets the recall to 1 if every label is 0, and so the answer to 0 (0.11.4: undefined).
  const bool all_zero = options_.task != Task::kMulticlass || only_label_zero;
  const bool zero = !exact || (options_.torchmetrics == TorchMetrics::k1_4_3 && all_zero);
  return average_precision(curve, zero ? 0.0 : kUndefined);
}

Value CurveMetric::compute(View state) const {
  const Average average = options_.average.value_or(Average::kNone);
  if (options_.task == Task::kMultilabel && average == Average::kMicro) {
    return Value::number(score_of(pooled_curve(scores_, state), false));
  }
  const ClassCurves classes = class_curves(scores_, state);
  std::vector<double> scores;
  for (const Curve& curve : classes.curves) {
    scores.push_back(score_of(curve, classes.only_label_zero));
  }
  if (options_.task == Task::kBinary) return Value::number(scores.front());
  if (average == Average::kNone) {
    const auto count = static_cast<std::int64_t>(scores.size());
    return {std::move(scores), {count}};
  }
  return Value::number(averaged(scores, classes.curves, average));
}

void CalibrationErrorOptions::describe_for(config::Fields& f, CalibrationScore,
                                           std::optional<Task> fixed) {
  describe_task(f, task, fixed);
  f.check("task", task != Task::kMultilabel, "binary or multiclass");
  describe_num_classes(f, num_classes, task, fixed);
  f("n_bins", n_bins, "bins of confidence over [0, 1]");
  f.check("n_bins", n_bins >= 1, "at least 1");
  f("norm", norm, "how gaps become one number: mean, root of the mean square, largest");
  describe_ignore_index(f, ignore_index);
  describe_torchmetrics(f, torchmetrics);
}

std::string CalibrationMetric::name() const {
  return std::string(task_prefix(options_.task)) + "CalibrationError";
}

std::shared_ptr<const Accumulator> CalibrationMetric::accumulator() const {
  ConfidenceOptions confidence;
  confidence.task = options_.task;
  if (options_.task == Task::kMulticlass) confidence.classes = options_.num_classes;
  confidence.bins = options_.n_bins;
  confidence.rules = options_.torchmetrics;
  confidence.ignore_index = options_.ignore_index;
  return confidence_bins(confidence);
}

Value CalibrationMetric::compute(View state) const {
  std::vector<CalibrationBin> bins;
  for (std::size_t i = 0; i + 2 < state.sums.size(); i += 3) {
    bins.push_back({state.sums[i], state.sums[i + 1], state.sums[i + 2]});
  }
  return Value::number(calibration_error(bins, options_.norm));
}

#define POLYPHONY_REGISTER_CURVE(Name, DOC)                                       \
  POLYPHONY_REGISTER(Metric, Name, "polyphony.metrics." #Name, DOC)               \
  POLYPHONY_REGISTER(Metric, Binary##Name, "polyphony.metrics.Binary" #Name, DOC) \
  POLYPHONY_REGISTER(Metric, Multiclass##Name, "polyphony.metrics.Multiclass" #Name, DOC)

POLYPHONY_REGISTER_CURVE(AUROC, "area under the ROC curve")
POLYPHONY_REGISTER_CURVE(AveragePrecision, "precision averaged over recall")
POLYPHONY_REGISTER_CURVE(CalibrationError, "gap between confidence and accuracy")
POLYPHONY_REGISTER(Metric, MultilabelAUROC, "polyphony.metrics.MultilabelAUROC",
                   "area under the ROC curve of each label")
POLYPHONY_REGISTER(Metric, MultilabelAveragePrecision,
                   "polyphony.metrics.MultilabelAveragePrecision",
                   "precision averaged over recall, of each label")

}  // namespace polyphony::metrics
