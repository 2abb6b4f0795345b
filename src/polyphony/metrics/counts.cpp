#include <polyphony/metrics/counts.h>

#include <cmath>
#include <numeric>

namespace polyphony::metrics {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

template <class Number>
std::vector<ClassCounts> split(std::span<const Number> confusion) {
  const auto classes =
      static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(confusion.size()))));
  std::vector<ClassCounts> result(classes);
  double all = 0;
  for (std::size_t truth = 0; truth < classes; ++truth) {
    for (std::size_t guess = 0; guess < classes; ++guess) {
      const auto count = static_cast<double>(confusion[truth * classes + guess]);
      all += count;
      if (truth == guess) {
        result[truth].tp += count;
      } else {
        result[truth].fn += count;
        result[guess].fp += count;
      }
    }
  }
  for (ClassCounts& one : result) one.tn = all - one.tp - one.fp - one.fn;
  return result;
}

}  // namespace

ClassCounts& ClassCounts::operator+=(const ClassCounts& other) {
  tp += other.tp;
  fp += other.fp;
  tn += other.tn;
  fn += other.fn;
  return *this;
}

std::vector<ClassCounts> per_class(std::span<const double> confusion) { return split(confusion); }

std::vector<ClassCounts> per_class(std::span<const std::int64_t> confusion) {
  return split(confusion);
}

std::vector<ClassCounts> per_label(std::span<const double> blocks) {
  constexpr std::size_t kBlock = 4;
  std::vector<ClassCounts> result(blocks.size() / kBlock);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double* block = blocks.data() + kBlock * i;
    result[i] = {.tp = block[3], .fp = block[1], .tn = block[0], .fn = block[2]};
  }
  return result;
}

double precision(const ClassCounts& counts) { return ratio(counts.tp, counts.tp + counts.fp); }

double recall(const ClassCounts& counts) { return ratio(counts.tp, counts.support()); }

double specificity(const ClassCounts& counts) { return ratio(counts.tn, counts.tn + counts.fp); }

double agreement(const ClassCounts& counts) {
  return ratio(counts.tp + counts.tn, counts.tp + counts.tn + counts.fp + counts.fn);
}

double f_beta(const ClassCounts& counts, double beta) {
  const double square = beta * beta;
  const double hits = (1 + square) * counts.tp;
  return ratio(hits, hits + square * counts.fn + counts.fp);
}

std::array<double, 5> stat_scores(const ClassCounts& counts) {
  return {counts.tp, counts.fp, counts.tn, counts.fn, counts.support()};
}

std::array<double, 5> stat_scores(std::span<const ClassCounts> classes, Average average) {
  const double support = std::accumulate(classes.begin(), classes.end(), 0.0,
                                         [](double s, const auto& c) { return s + c.support(); });
  std::array<double, 5> result{};
  for (const ClassCounts& one : classes) {
    const std::array<double, 5> values = stat_scores(one);
    double weight = 1.0;
    if (average == Average::kMacro) weight = 1.0 / static_cast<double>(classes.size());
    if (average == Average::kWeighted) weight = one.support() / support;
    for (std::size_t i = 0; i < values.size(); ++i) result[i] += weight * values[i];
  }
  return result;
}

}  // namespace polyphony::metrics
