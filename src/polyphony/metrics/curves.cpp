#include <polyphony/metrics/curves.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace polyphony::metrics {
namespace {

struct Rate {
  double fpr;
  double tpr;
};

double area(const std::vector<Rate>& rates) {
  double sum = 0;
  for (std::size_t i = 1; i < rates.size(); ++i) {
    sum += (rates[i].fpr - rates[i - 1].fpr) * (rates[i].tpr + rates[i - 1].tpr) / 2;
  }
  return sum;
}

/// The part of the curve up to a false-positive rate, which is in (0, 1).
std::vector<Rate> up_to(std::vector<Rate> rates, double max_fpr) {
  const auto beyond = std::upper_bound(rates.begin(), rates.end(), max_fpr,
                                       [](double max, const Rate& rate) { return max < rate.fpr; });
  if (beyond == rates.begin() || beyond == rates.end()) return rates;
  const Rate last = *(beyond - 1);
  const double share = (max_fpr - last.fpr) / (beyond->fpr - last.fpr);
  const Rate end{max_fpr, last.tpr + share * (beyond->tpr - last.tpr)};
  rates.erase(beyond, rates.end());
  rates.push_back(end);
  return rates;
}

}  // namespace

Curve exact_curve(std::span<const double> scores, std::span<const std::uint8_t> positive) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  Curve curve;
  curve.points.push_back({0, 0});
  for (std::size_t i = 0; i < order.size(); ++i) {
    (positive[order[i]] != 0 ? curve.positives : curve.negatives) += 1;
    const bool last = i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]];
    if (last) curve.points.push_back({curve.positives, curve.negatives});
  }
  return curve;
}

Curve binned_curve(std::span<const double> negatives, std::span<const double> positives) {
  Curve curve;
  for (std::size_t bin = positives.size(); bin-- > 0;) {
    curve.positives += positives[bin];
    curve.negatives += negatives[bin];
    if (bin > 0) curve.points.push_back({curve.positives, curve.negatives});
  }
  return curve;
}

double auroc(const Curve& curve, std::optional<double> max_fpr) {
  std::vector<Rate> rates;
  rates.reserve(curve.points.size());
  for (const CurvePoint& point : curve.points) {
    rates.push_back({curve.negatives > 0 ? point.fp / curve.negatives : 0.0,
                     curve.positives > 0 ? point.tp / curve.positives : 0.0});
  }
  const bool whole = !max_fpr || *max_fpr == 1 || curve.negatives == 0 || curve.positives == 0;
  if (whole) return area(rates);
  const double least = 0.5 * *max_fpr * *max_fpr;
  return 0.5 * (1 + (area(up_to(std::move(rates), *max_fpr)) - least) / (*max_fpr - least));
}

double average_precision(const Curve& curve, double without_positives) {
  if (curve.positives == 0) return without_positives;
  double sum = 0;
  double before = 0;
  for (const CurvePoint& point : curve.points) {
    if (point.tp > before)
      sum += (point.tp - before) / curve.positives * point.tp / (point.tp + point.fp);
    before = point.tp;
  }
  return sum;
}

}  // namespace polyphony::metrics
