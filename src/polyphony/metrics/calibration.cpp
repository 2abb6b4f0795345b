#include <polyphony/metrics/calibration.h>

#include <algorithm>
#include <cmath>

namespace polyphony::metrics {

double calibration_error(std::span<const CalibrationBin> bins, CalibrationNorm norm) {
  double rows = 0;
  for (const CalibrationBin& bin : bins) rows += bin.rows;
  double sum = 0;
  double largest = 0;
  for (const CalibrationBin& bin : bins) {
    if (bin.rows == 0) continue;
    const double gap = std::abs(bin.right - bin.confidence) / bin.rows;
    sum += (norm == CalibrationNorm::kL2 ? gap * gap : gap) * bin.rows;
    largest = std::max(largest, gap);
  }
  if (norm == CalibrationNorm::kMax) return largest;
  if (norm == CalibrationNorm::kL1) return sum / rows;
  return rows > 0 ? std::sqrt(sum / rows) : 0.0;
}

}  // namespace polyphony::metrics
