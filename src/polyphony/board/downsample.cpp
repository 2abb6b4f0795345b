#include <polyphony/board/downsample.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>

namespace polyphony::board {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Positions [begin, end) of the points to look at: those in the window and one on either side.
struct Part {
  std::size_t begin = 0, end = 0;
};

Part part_of(const Series& series, const Window& window) {
  const auto begin = std::lower_bound(series.x.begin(), series.x.end(), window.from);
  const auto end = std::upper_bound(begin, series.x.end(), window.to);
  Part part{static_cast<std::size_t>(begin - series.x.begin()),
            static_cast<std::size_t>(end - series.x.begin())};
  if (part.begin > 0) --part.begin;
  if (part.end < series.x.size()) ++part.end;
  return part;
}

/// The extremes of one bucket.
class Extremes {
 public:
  void add(const Series& series, std::size_t i) {
    if (!any_) last_ = i;
    any_ = true;
    const double y = series.y[i];
    if (std::isnan(y)) return;
    if (!number_) low_ = high_ = i;
    number_ = true;
    if (y < series.y[low_]) low_ = i;
    if (y > series.y[high_]) high_ = i;
  }
  void flush(const Series& series, Series& out) {
    if (!any_) return;
    const std::size_t first = number_ ? std::min(low_, high_) : last_;
    const std::size_t second = number_ ? std::max(low_, high_) : last_;
    put(series, first, out);
    if (second != first) put(series, second, out);
    any_ = number_ = false;
  }

 private:
  static void put(const Series& series, std::size_t i, Series& out) {
    out.x.push_back(series.x[i]);
    out.y.push_back(series.y[i]);
  }
  bool any_ = false, number_ = false;
  std::size_t low_ = 0, high_ = 0, last_ = 0;
};

std::size_t bucket_of(double x, double low, double width, int buckets) {
  if (width <= 0) return 0;
  const double place = (x - low) / width * buckets;
  return static_cast<std::size_t>(std::clamp(place, 0.0, buckets - 1.0));
}

struct Span {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
};

}  // namespace

Series downsample(const Series& series, const Window& window) {
  const Part part = part_of(series, window);
  const std::size_t count = part.end - part.begin;
  const int buckets = std::max(1, window.buckets);
  Series out;
  if (count <= 2 * static_cast<std::size_t>(buckets)) {
    const auto at = [&](const std::vector<double>& values, std::size_t i) {
      return values.begin() + static_cast<std::ptrdiff_t>(i);
    };
    out.x.assign(at(series.x, part.begin), at(series.x, part.end));
    out.y.assign(at(series.y, part.begin), at(series.y, part.end));
    return out;
  }
  const double low = series.x[part.begin];
  const double width = series.x[part.end - 1] - low;
  Extremes extremes;
  std::size_t current = 0;
  for (std::size_t i = part.begin; i < part.end; ++i) {
    const std::size_t bucket = bucket_of(series.x[i], low, width, buckets);
    if (bucket != current) extremes.flush(series, out);
    current = bucket;
    extremes.add(series, i);
  }
  extremes.flush(series, out);
  return out;
}

std::vector<double> smoothed(std::span<const double> values, double weight) {
  std::vector<double> result(values.begin(), values.end());
  double mean = 0, share = 0;
  for (double& value : result) {
    if (!std::isfinite(value)) continue;
    mean = mean * weight + value * (1 - weight);
    share = share * weight + (1 - weight);
    value = mean / share;
  }
  return result;
}

Band band_of(const std::vector<Series>& runs, const Window& window) {
  std::set<double> places;
  Span span;
  const auto most = static_cast<std::size_t>(std::max(1, window.buckets));
  for (const Series& run : runs) {
    const Part part = part_of(run, window);
    for (std::size_t i = part.begin; i < part.end; ++i) {
      if (places.size() <= most) places.insert(run.x[i]);
      span = {std::min(span.low, run.x[i]), std::max(span.high, run.x[i])};
    }
  }
  // Few enough places: each is its own bucket, and nothing is averaged over x.
  const bool exact = places.size() <= most;
  std::map<double, std::vector<double>> values;
  for (const Series& run : runs) {
    const Part part = part_of(run, window);
    std::map<double, std::pair<double, int>> sums;
    for (std::size_t i = part.begin; i < part.end; ++i) {
      if (!std::isfinite(run.y[i])) continue;
      const double step = (span.high - span.low) / window.buckets;
      const std::size_t bucket =
          bucket_of(run.x[i], span.low, span.high - span.low, window.buckets);
      auto& [sum, count] =
          sums[exact ? run.x[i] : span.low + (static_cast<double>(bucket) + 0.5) * step];
      sum += run.y[i];
      ++count;
    }
    for (const auto& [x, sum] : sums) values[x].push_back(sum.first / sum.second);
  }
  Band band;
  for (const auto& [x, at] : values) {
    double sum = 0;
    for (const double value : at) sum += value;
    const auto [low, high] = std::minmax_element(at.begin(), at.end());
    band.x.push_back(x);
    band.mean.push_back(at.empty() ? kNan : sum / static_cast<double>(at.size()));
    band.low.push_back(*low);
    band.high.push_back(*high);
  }
  return band;
}

}  // namespace polyphony::board
