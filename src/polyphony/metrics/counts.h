#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <polyphony/metrics/choices.h>

namespace polyphony::metrics {

/// How often one class (or label) was and was not taken for what it is.
struct ClassCounts {
  double tp = 0;
  double fp = 0;
  double tn = 0;
  double fn = 0;

  double support() const { return tp + fn; }
  ClassCounts& operator+=(const ClassCounts& other);
};

/// The counts of each class from a confusion matrix [classes * classes], row = truth.
std::vector<ClassCounts> per_class(std::span<const double> confusion);
std::vector<ClassCounts> per_class(std::span<const std::int64_t> confusion);
/// The counts of each label from its own matrix: blocks [labels, 2, 2] of tn, fp, fn, tp.
std::vector<ClassCounts> per_label(std::span<const double> blocks);

/// Scores of one class, in [0, 1]; 0 if nothing was counted.
double precision(const ClassCounts& counts);
double recall(const ClassCounts& counts);
double specificity(const ClassCounts& counts);
/// Right decisions, present or absent: the accuracy of a binary question.
double agreement(const ClassCounts& counts);
/// @param beta  weight of recall over precision, above 0
double f_beta(const ClassCounts& counts, double beta);
inline double f1(const ClassCounts& counts) { return f_beta(counts, 1.0); }

/// What a macro average does with classes that did not occur.
enum class Absent {
  kZero,             ///< they score 0
  kSkip,             ///< left out: those neither in the truth nor among the predictions
  kSkipUnsupported,  ///< left out: those not in the truth
};

struct Averaging {
  Average average = Average::kMacro;  ///< not kNone
  Absent absent = Absent::kZero;
};

/// The score of all classes as one number; 0 if nothing was counted.
template <class Score>
double averaged(std::span<const ClassCounts> classes, const Averaging& how, Score score) {
  if (how.average == Average::kMicro) {
    ClassCounts all;
    for (const ClassCounts& one : classes) all += one;
    return score(all);
  }
  double sum = 0;
  double weights = 0;
  for (const ClassCounts& one : classes) {
    double weight = one.support();
    if (how.average == Average::kMacro) {
      const bool missing = how.absent == Absent::kSkipUnsupported
                               ? one.support() == 0
                               : how.absent == Absent::kSkip && one.support() + one.fp == 0;
      weight = missing ? 0.0 : 1.0;
    }
    sum += weight * score(one);
    weights += weight;
  }
  return weights > 0 ? sum / weights : 0.0;
}

/// tp, fp, tn, fn and support, of one class.
std::array<double, 5> stat_scores(const ClassCounts& counts);
/// The same over classes: their sum (kMicro), mean, or mean by support; NaN if that is 0 / 0.
std::array<double, 5> stat_scores(std::span<const ClassCounts> classes, Average average);

}  // namespace polyphony::metrics
