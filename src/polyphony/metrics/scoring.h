#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/accumulator.h>
#include <polyphony/metrics/choices.h>
#include <polyphony/metrics/curves.h>

namespace polyphony::metrics {

/// Where a curve is evaluated: at every distinct score (neither is set), at `count` thresholds
/// spread evenly over [0, 1], or at `values`.
struct Thresholds {
  std::optional<std::int64_t> count;
  std::vector<double> values;

  bool exact() const { return !count && values.empty(); }
  /// The thresholds, rising, as single-precision numbers like the scores they are compared with.
  std::vector<float> list() const;
};

/// YAML: null, a number of at least 2, or a rising list in [0, 1].
bool read(const config::Node& node, Thresholds& value);
std::string show(const Thresholds& value);
inline const char* type_name(const Thresholds&) { return "int or list[float] or null"; }

struct ScoreOptions {
  Task task = Task::kBinary;
  std::int64_t classes = 1;  ///< classes or labels; 1 for a binary task
  Thresholds thresholds;
  std::optional<std::int64_t> ignore_index;
};

/// Scores as probabilities with their labels. Exact: rows [classes scores, labels] as they come.
/// With thresholds: sums [classes, 2, thresholds + 1], how many negatives and positives of each
/// class reach how many thresholds.
std::shared_ptr<const Accumulator> score_rows(const ScoreOptions& options);

/// What a curve metric needs of the scores.
struct ClassCurves {
  std::vector<Curve> curves;     ///< one a class or label
  bool only_label_zero = false;  ///< multiclass: every row is of class 0
};

ClassCurves class_curves(const ScoreOptions& options, View state);
/// All labels of a multilabel task as one question.
Curve pooled_curve(const ScoreOptions& options, View state);

struct ConfidenceOptions {
  Task task = Task::kBinary;  ///< binary or multiclass
  std::int64_t classes = 1;
  std::int64_t bins = 15;
  TorchMetrics rules = TorchMetrics::k0_11_4;
  std::optional<std::int64_t> ignore_index;
};

/// How sure predictions were and how often right: sums [bins + 1, 3] of rows, confidence and right
/// rows, as CalibrationBin. A confidence on a boundary falls into the lower bin under 0.11.4 and
/// into the upper one under 1.4.3, where 1 has a bin of its own.
std::shared_ptr<const Accumulator> confidence_bins(const ConfidenceOptions& options);

}  // namespace polyphony::metrics
