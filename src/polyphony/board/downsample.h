#pragma once

#include <limits>
#include <span>
#include <vector>

namespace polyphony::board {

/// Points in the order of x; y may be NaN.
struct Series {
  std::vector<double> x, y;
};

/// What of a series is looked at.
struct Window {
  double from = -std::numeric_limits<double>::infinity();
  double to = std::numeric_limits<double>::infinity();
  int buckets = 1000;  ///< at least 1; at most two points of each are kept
};

/// The smallest and the largest value of each bucket of x, in the order of x: no peak is lost. The
/// nearest point on either side of the window is kept, so that lines reach its edges. A series that
/// has at most two points a bucket comes back whole.
Series downsample(const Series& series, const Window& window);

/// Exponential smoothing without the pull of the first value (as TensorBoard's). NaN stays NaN.
/// @param weight  of the past, from 0 (nothing changes) to below 1
std::vector<double> smoothed(std::span<const double> values, double weight);

/// Several runs of one setting as one: at each x the mean, and from where to where they reach.
struct Band {
  std::vector<double> x, mean, low, high;
};

/// Runs that do not share their x meet in buckets: each gives the mean of what it has there.
Band band_of(const std::vector<Series>& runs, const Window& window);

}  // namespace polyphony::board
