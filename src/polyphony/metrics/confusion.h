#pragma once

#include <span>
#include <utility>
#include <vector>

#include <polyphony/metrics/choices.h>

namespace polyphony::metrics {

/// What the counts of a confusion matrix are divided by.
enum class Normalize {
  kTrue,  ///< the rows of a true class
  kPred,  ///< the rows of a predicted class
  kAll,   ///< all rows
  kNone,  ///< nothing: counts
};

/// YAML: a bare `true` is a boolean there, and means kTrue here.
bool read(const config::Node& node, Normalize& value);

/// How far apart two classes are in Cohen's kappa.
enum class KappaWeights {
  kNone,       ///< all errors count alike
  kLinear,     ///< by the distance of the class numbers
  kQuadratic,  ///< by its square
};

/// All functions below take a confusion matrix [classes * classes], row-major, row = truth.

/// Counts divided; 0 if there is nothing to divide by.
std::vector<double> normalized(std::span<const double> confusion, Normalize by);
/// Agreement beyond chance, at most 1; NaN if chance alone leaves no disagreement.
double cohen_kappa(std::span<const double> confusion, KappaWeights weights);
/// Correlation of truth and prediction, in [-1, 1]. If either takes one value only it is 0; with
/// two classes 1.4.3 gives the limit that its source names there.
double matthews_corrcoef(std::span<const double> confusion, TorchMetrics rules);

}  // namespace polyphony::metrics

template <>
struct polyphony::config::EnumNames<polyphony::metrics::Normalize> {
  static constexpr std::pair<const char*, polyphony::metrics::Normalize> kTable[] = {
      {"true", polyphony::metrics::Normalize::kTrue},
      {"pred", polyphony::metrics::Normalize::kPred},
      {"all", polyphony::metrics::Normalize::kAll},
      {"none", polyphony::metrics::Normalize::kNone}};
};

template <>
struct polyphony::config::EnumNames<polyphony::metrics::KappaWeights> {
  static constexpr std::pair<const char*, polyphony::metrics::KappaWeights> kTable[] = {
      {"none", polyphony::metrics::KappaWeights::kNone},
      {"linear", polyphony::metrics::KappaWeights::kLinear},
      {"quadratic", polyphony::metrics::KappaWeights::kQuadratic}};
};
