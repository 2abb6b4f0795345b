#include <polyphony/metrics/confusion.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace polyphony::metrics {
namespace {

struct Margins {
  std::size_t classes = 0;
  std::vector<double> truth;  // rows of each true class
  std::vector<double> guess;  // rows of each predicted class
  double all = 0;
};

Margins margins(std::span<const double> confusion) {
  Margins result;
  result.classes =
      static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(confusion.size()))));
  result.truth.resize(result.classes);
  result.guess.resize(result.classes);
  for (std::size_t i = 0; i < result.classes; ++i) {
    for (std::size_t j = 0; j < result.classes; ++j) {
      const double count = confusion[i * result.classes + j];
      result.truth[i] += count;
      result.guess[j] += count;
      result.all += count;
    }
  }
  return result;
}

double distance(std::size_t i, std::size_t j, KappaWeights weights) {
  if (weights == KappaWeights::kNone) return i == j ? 0 : 1;
  const double apart = std::abs(static_cast<double>(i) - static_cast<double>(j));
  return weights == KappaWeights::kLinear ? apart : apart * apart;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// TorchMetrics 1.4.3 if truth or prediction takes one value only, with two classes.
double one_sided(double tn, double fp, double fn, double tp) {
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  double kept = tn;
  double lost = fn;
  if (fn == 0 && tn == 0) {
    kept = tp;
    lost = fp;
  } else if (fp == 0 && tn == 0) {
    kept = tp;
    lost = fn;
  } else if (tp == 0 && fn == 0) {
    lost = fp;
  }
  return std::sqrt(kEpsilon) * (kept - lost) /
         std::sqrt((tp + fp + kEpsilon) * (tp + fn + kEpsilon) * (tn + fp + kEpsilon) *
                   (tn + fn + kEpsilon));
}

}  // namespace

bool read(const config::Node& node, Normalize& value) {
  if (node.kind() == config::Node::Kind::kBool && node.as_bool()) {
    value = Normalize::kTrue;
    return true;
  }
  return config::read<Normalize>(node, value);
}

std::vector<double> normalized(std::span<const double> confusion, Normalize by) {
  std::vector<double> result(confusion.begin(), confusion.end());
  if (by == Normalize::kNone) return result;
  const Margins sums = margins(confusion);
  for (std::size_t i = 0; i < sums.classes; ++i) {
    for (std::size_t j = 0; j < sums.classes; ++j) {
      double whole = sums.all;
      if (by == Normalize::kTrue) whole = sums.truth[i];
      if (by == Normalize::kPred) whole = sums.guess[j];
      if (whole > 0) result[i * sums.classes + j] /= whole;
    }
  }
  return result;
}

double cohen_kappa(std::span<const double> confusion, KappaWeights weights) {
  const Margins sums = margins(confusion);
  double seen = 0;
  double chance = 0;
  for (std::size_t i = 0; i < sums.classes; ++i) {
    for (std::size_t j = 0; j < sums.classes; ++j) {
      const double apart = distance(i, j, weights);
      seen += apart * confusion[i * sums.classes + j];
      chance += apart * sums.truth[i] * sums.guess[j] / sums.all;
    }
  }
  return 1 - seen / chance;
}

double matthews_corrcoef(std::span<const double> confusion, TorchMetrics rules) {
  const Margins sums = margins(confusion);
  double right = 0;
  for (std::size_t i = 0; i < sums.classes; ++i) right += confusion[i * sums.classes + i];
  const bool limits = rules == TorchMetrics::k1_4_3 && sums.classes == 2;
  if (limits && right > 0 && right == sums.all) return 1;
  if (limits && right == 0 && sums.all > 0) return -1;
  const double square = sums.all * sums.all;
  const double spread =
      (square - dot(sums.guess, sums.guess)) * (square - dot(sums.truth, sums.truth));
  if (spread == 0) {
    return limits ? one_sided(confusion[0], confusion[1], confusion[2], confusion[3]) : 0.0;
  }
  return (right * sums.all - dot(sums.truth, sums.guess)) / std::sqrt(spread);
}

}  // namespace polyphony::metrics
