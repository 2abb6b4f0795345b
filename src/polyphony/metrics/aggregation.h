#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/metric.h>

namespace polyphony::metrics {

/// What becomes of NaN among the values: an error, nothing, or another value in its place.
struct NanStrategy {
  bool error = false;
  std::optional<double> replacement;
};

/// YAML: error, ignore, or a number.
bool read(const config::Node& node, NanStrategy& value);
std::string show(const NanStrategy& value);
inline const char* type_name(const NanStrategy&) { return "error|ignore|float"; }

enum class Aggregate { kMean, kSum, kMax, kMin };

struct AggregationOptions {
  NanStrategy nan_strategy;

  void describe(config::Fields& f);
};

/// Numbers made one. `update` takes the values as predictions and, for the mean, their weights as
/// target (undefined: 1 each).
class AggregationMetric : public Metric {
 public:
  AggregationMetric(Aggregate aggregate, AggregationOptions options)
      : aggregate_(aggregate), options_(options) {}

  std::string name() const override;
  std::shared_ptr<const Accumulator> accumulator() const override;
  /// Mean of nothing: NaN; largest and smallest of nothing: -inf and inf.
  Value compute(View state) const override;

 private:
  Aggregate aggregate_;
  AggregationOptions options_;
};

template <Aggregate kAggregate>
class AggregationOf : public AggregationMetric {
 public:
  using Options = AggregationOptions;
  explicit AggregationOf(Options options = {}) : AggregationMetric(kAggregate, options) {}
};

using MeanMetric = AggregationOf<Aggregate::kMean>;
using SumMetric = AggregationOf<Aggregate::kSum>;
using MaxMetric = AggregationOf<Aggregate::kMax>;
using MinMetric = AggregationOf<Aggregate::kMin>;

}  // namespace polyphony::metrics
