#include <polyphony/metrics/classification.h>

#include <cmath>

namespace polyphony::metrics {
namespace {

/// What a class was and was not taken for.
struct ClassCounts {
  double hits = 0;  ///< true positives
  double false_alarms = 0;
  double misses = 0;

  double support() const { return hits + misses; }
  bool absent() const { return hits + false_alarms + misses == 0; }
};

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

std::vector<ClassCounts> per_class(Counts counts) {
  const auto classes =
      static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(counts.size()))));
  std::vector<ClassCounts> result(classes);
  for (std::size_t truth = 0; truth < classes; ++truth) {
    for (std::size_t guess = 0; guess < classes; ++guess) {
      const auto count = static_cast<double>(counts[truth * classes + guess]);
      if (truth == guess) {
        result[truth].hits += count;
      } else {
        result[truth].misses += count;
        result[guess].false_alarms += count;
      }
    }
  }
  return result;
}

template <class Score>
double averaged(Counts counts, Average average, AbsentClasses absent, Score score) {
  const std::vector<ClassCounts> classes = per_class(counts);
  if (average == Average::kMicro) {
    ClassCounts all;
    for (const ClassCounts& one : classes) {
      all.hits += one.hits;
      all.false_alarms += one.false_alarms;
      all.misses += one.misses;
    }
    return score(all);
  }
  double sum = 0;
  double weight = 0;
  for (const ClassCounts& one : classes) {
    if (average == Average::kMacro && absent == AbsentClasses::kLeaveOut && one.absent()) continue;
    const double share = average == Average::kWeighted ? one.support() : 1.0;
    sum += share * score(one);
    weight += share;
  }
  return ratio(sum, weight);
}

double f1_of(const ClassCounts& one) {
  return ratio(2 * one.hits, 2 * one.hits + one.false_alarms + one.misses);
}

double recall_of(const ClassCounts& one) { return ratio(one.hits, one.support()); }

double precision_of(const ClassCounts& one) { return ratio(one.hits, one.hits + one.false_alarms); }

}  // namespace

double accuracy(Counts counts, Average average, AbsentClasses absent) {
  return averaged(counts, average, absent, recall_of);
}

double f1(Counts counts, Average average, AbsentClasses absent) {
  return averaged(counts, average, absent, f1_of);
}

double precision(Counts counts, Average average, AbsentClasses absent) {
  return averaged(counts, average, absent, precision_of);
}

double recall(Counts counts, Average average, AbsentClasses absent) {
  return averaged(counts, average, absent, recall_of);
}

std::vector<double> class_f1(Counts counts) {
  std::vector<double> scores;
  for (const ClassCounts& one : per_class(counts)) scores.push_back(f1_of(one));
  return scores;
}

}  // namespace polyphony::metrics
