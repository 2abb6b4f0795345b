#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace polyphony::metrics {

/// How many positives and negatives score at least a threshold.
struct CurvePoint {
  double tp = 0;
  double fp = 0;
};

/// A binary question answered by scores, over all thresholds from high to low.
struct Curve {
  std::vector<CurvePoint> points;
  double positives = 0;
  double negatives = 0;
};

/// One threshold for each distinct score, after one that nothing reaches.
/// @param positive  1 if the row is positive, else 0
Curve exact_curve(std::span<const double> scores, std::span<const std::uint8_t> positive);

/// The thresholds of a histogram: bin 0 counts the scores below all of them, bin i those that reach
/// i of them.
Curve binned_curve(std::span<const double> negatives, std::span<const double> positives);

/// Area under the true-positive rate over the false-positive rate. A rate without rows is 0.
/// @param max_fpr  in (0, 1]: the area up to this rate, McClish-corrected to [0.5, 1]
/// Source: McClish, "Analyzing a portion of the ROC curve", 1989
double auroc(const Curve& curve, std::optional<double> max_fpr = std::nullopt);

/// Precision averaged over the recall gained at each threshold.
/// @param without_positives  the answer if there is no positive row
double average_precision(const Curve& curve, double without_positives);

}  // namespace polyphony::metrics
