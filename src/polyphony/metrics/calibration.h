#pragma once

#include <span>
#include <utility>

#include <polyphony/config/bind/fields.h>

namespace polyphony::metrics {

/// How the gaps between confidence and accuracy become one number.
enum class CalibrationNorm {
  kL1,   ///< expected: mean gap by rows
  kL2,   ///< root of the mean squared gap by rows
  kMax,  ///< largest gap
};

/// What fell into one bin of confidence.
struct CalibrationBin {
  double rows = 0;
  double confidence = 0;  ///< sum over rows
  double right = 0;       ///< rows that were right
};

/// Gap between confidence and accuracy, in [0, 1]; without rows NaN for kL1, as in TorchMetrics,
/// and 0 for the others.
double calibration_error(std::span<const CalibrationBin> bins, CalibrationNorm norm);

}  // namespace polyphony::metrics

template <>
struct polyphony::config::EnumNames<polyphony::metrics::CalibrationNorm> {
  static constexpr std::pair<const char*, polyphony::metrics::CalibrationNorm> kTable[] = {
      {"l1", polyphony::metrics::CalibrationNorm::kL1},
      {"l2", polyphony::metrics::CalibrationNorm::kL2},
      {"max", polyphony::metrics::CalibrationNorm::kMax}};
};
