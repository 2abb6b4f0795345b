#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/config/fields.h>
#include <polyphony/metrics/calibration.h>
#include <polyphony/metrics/metric.h>
#include <polyphony/metrics/scoring.h>

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

  void describe_for(config::Fields& f, CurveScore score, std::optional<Task> fixed);
};

class CurveMetric : public Metric {
 public:
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

template <CurveScore kScore, Task... kFixed>
class CurveOf : public CurveMetric {
 public:
  struct Options : CurveOptions {
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

  explicit CurveOf(const Options& options) : CurveMetric(kScore, options) {}
};

#define POLYPHONY_CURVE_SCORE(Name)                                         \
  using Name = CurveOf<CurveScore::k##Name>;                                \
  using Binary##Name = CurveOf<CurveScore::k##Name, Task::kBinary>;         \
  using Multiclass##Name = CurveOf<CurveScore::k##Name, Task::kMulticlass>; \
  using Multilabel##Name = CurveOf<CurveScore::k##Name, Task::kMultilabel>;
POLYPHONY_CURVE_SCORE(AUROC)
POLYPHONY_CURVE_SCORE(AveragePrecision)
#undef POLYPHONY_CURVE_SCORE

struct CalibrationErrorOptions {
  Task task = Task::kMulticlass;  ///< binary or multiclass
  int num_classes = 0;
  int n_bins = 15;
  CalibrationNorm norm = CalibrationNorm::kL1;
  std::optional<std::int64_t> ignore_index;
  TorchMetrics torchmetrics = TorchMetrics::k0_11_4;

  void describe_for(config::Fields& f, std::optional<Task> fixed);
};

class CalibrationMetric : public Metric {
 public:
  explicit CalibrationMetric(CalibrationErrorOptions options) : options_(options) {}

  std::string name() const override;
  std::shared_ptr<const Accumulator> accumulator() const override;
  Value compute(View state) const override;

 private:
  CalibrationErrorOptions options_;
};

template <Task... kFixed>
class CalibrationOf : public CalibrationMetric {
 public:
  struct Options : CalibrationErrorOptions {
    Options() {
      if constexpr (sizeof...(kFixed) > 0) task = (kFixed, ...);
    }
    void describe(config::Fields& f) {
      if constexpr (sizeof...(kFixed) > 0) {
        describe_for(f, (kFixed, ...));
      } else {
        describe_for(f, std::nullopt);
      }
    }
  };

  explicit CalibrationOf(const Options& options) : CalibrationMetric(options) {}
};

using CalibrationError = CalibrationOf<>;
using BinaryCalibrationError = CalibrationOf<Task::kBinary>;
using MulticlassCalibrationError = CalibrationOf<Task::kMulticlass>;

}  // namespace polyphony::metrics
