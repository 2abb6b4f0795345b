#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/calibration.h>
#include <polyphony/metrics/metric.h>
#include <polyphony/metrics/scoring.h>
#include <polyphony/metrics/task_options.h>

namespace polyphony::metrics {

/// The metrics that are made of a curve over all thresholds.
enum class CurveScore { kAUROC, kAveragePrecision };

struct CurveOptions {
  Task task = Task::kMulticlass;
  int num_classes = 0;
  int num_labels = 0;
  std::optional<Average> average = Average::kMacro;  ///< kMicro: multilabel only
  Thresholds thresholds;
  std::optional<double> max_fpr;  ///< AUROC of a binary task
  std::optional<std::int64_t> ignore_index;
  TorchMetrics torchmetrics = TorchMetrics::k0_11_4;

  void fix(Task one) { task = one; }
  void describe_for(config::Fields& f, CurveScore score, std::optional<Task> fixed);
};

class CurveMetric : public Metric {
 public:
  using TaskOptions = CurveOptions;
  CurveMetric(CurveScore score, CurveOptions options);

  std::string name() const override;
  std::shared_ptr<const Accumulator> accumulator() const override;
  /// A class without a defined value is NaN, and left out of an average.
  Value compute(View state) const override;

 private:
  double score_of(const Curve& curve, bool only_label_zero) const;

  CurveScore score_;
  CurveOptions options_;
  ScoreOptions scores_;
};

POLYPHONY_OF_TASK(CurveMetric, CurveScore, AUROC)
POLYPHONY_OF_TASK(CurveMetric, CurveScore, AveragePrecision)

/// The metrics that are made of bins of confidence.
enum class CalibrationScore { kCalibrationError };

struct CalibrationErrorOptions {
  Task task = Task::kMulticlass;  ///< binary or multiclass
  int num_classes = 0;
  int n_bins = 15;
  CalibrationNorm norm = CalibrationNorm::kL1;
  std::optional<std::int64_t> ignore_index;
  TorchMetrics torchmetrics = TorchMetrics::k0_11_4;

  void fix(Task one) { task = one; }
  void describe_for(config::Fields& f, CalibrationScore score, std::optional<Task> fixed);
};

class CalibrationMetric : public Metric {
 public:
  using TaskOptions = CalibrationErrorOptions;
  CalibrationMetric(CalibrationScore, CalibrationErrorOptions options) : options_(options) {}

  std::string name() const override;
  std::shared_ptr<const Accumulator> accumulator() const override;
  Value compute(View state) const override;

 private:
  CalibrationErrorOptions options_;
};

POLYPHONY_OF_TASK(CalibrationMetric, CalibrationScore, CalibrationError)

}  // namespace polyphony::metrics
