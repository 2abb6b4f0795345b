#include <polyphony/metrics/aggregation.h>

#include <algorithm>
#include <cmath>

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/batch.h>

namespace polyphony::metrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kDouble).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

class Total : public Accumulator {
 public:
  Total(Aggregate aggregate, NanStrategy nan) : aggregate_(aggregate), nan_(nan) {}

  std::string key() const override {
    return fmt::format("total {} {}", static_cast<int>(aggregate_), show(nan_));
  }
  std::size_t sums() const override {
    if (aggregate_ == Aggregate::kMean) return 2;
    return aggregate_ == Aggregate::kSum ? 1 : 0;
  }
  bool keeps_rows() const override { return sums() == 0; }

  void update(const Batch& batch, Slot slot) const override {
    std::vector<double> values = numbers(batch.preds());
    std::vector<double> weights(values.size(), 1.0);
    if (aggregate_ == Aggregate::kMean && batch.target().defined()) {
      weights = numbers(batch.target());
      if (weights.size() == 1) weights.resize(values.size(), weights.front());
    }
    if (weights.size() != values.size()) {
      throw DataError(
          fmt::format("metrics: {} values, but {} weights", values.size(), weights.size()),
          "give one weight for each value, or one for all");
    }
    mend(values, weights);
    for (std::size_t i = 0; i < values.size(); ++i) add(values[i], weights[i], slot);
  }

 private:
  /// Replaces NaN, or removes it with its weight.
  void mend(std::vector<double>& values, std::vector<double>& weights) const {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool nan = std::isnan(values[i]) || std::isnan(weights[i]);
      if (nan && nan_.error) {
        throw DataError(fmt::format("metrics: value {} is NaN", i),
                        "set nan_strategy to ignore or to a number, or mend the values");
      }
      if (nan && !nan_.replacement) continue;
      values[kept] = std::isnan(values[i]) ? *nan_.replacement : values[i];
      weights[kept] = std::isnan(weights[i]) ? *nan_.replacement : weights[i];
      ++kept;
    }
    values.resize(kept);
    weights.resize(kept);
  }

  void add(double value, double weight, Slot& slot) const {
    if (aggregate_ == Aggregate::kMean || aggregate_ == Aggregate::kSum) {
      slot.sums[0] += value * weight;
      if (aggregate_ == Aggregate::kMean) slot.sums[1] += weight;
    } else if (slot.rows.empty()) {
      slot.rows.push_back(value);
    } else {
      double& best = slot.rows.front();
      best = aggregate_ == Aggregate::kMax ? std::max(best, value) : std::min(best, value);
    }
  }

  Aggregate aggregate_;
  NanStrategy nan_;
};

}  // namespace

bool read(const config::Node& node, NanStrategy& value) {
  value = {};
  double replacement = 0;
  if (config::read(node, replacement)) {
    value.replacement = replacement;
    return true;
  }
  if (!node.is_string()) return false;
  value.error = node.as_string() == "error";
  return value.error || node.as_string() == "ignore";
}

std::string show(const NanStrategy& value) {
  if (value.replacement) return config::show(*value.replacement);
  return value.error ? "error" : "ignore";
}

void AggregationOptions::describe(config::Fields& f) {
  f("nan_strategy", nan_strategy, "what becomes of NaN: an error, left out, or this number");
}

std::string AggregationMetric::name() const {
  switch (aggregate_) {
    case Aggregate::kMean:
      return "MeanMetric";
    case Aggregate::kSum:
      return "SumMetric";
    case Aggregate::kMax:
      return "MaxMetric";
    case Aggregate::kMin:
      break;
  }
  return "MinMetric";
}

std::shared_ptr<const Accumulator> AggregationMetric::accumulator() const {
  return std::make_shared<Total>(aggregate_, options_.nan_strategy);
}

Value AggregationMetric::compute(View state) const {
  if (aggregate_ == Aggregate::kMean) return Value::number(state.sums[0] / state.sums[1]);
  if (aggregate_ == Aggregate::kSum) return Value::number(state.sums[0]);
  double best = aggregate_ == Aggregate::kMax ? -kInfinity : kInfinity;
  for (const double value : state.rows) {
    best = aggregate_ == Aggregate::kMax ? std::max(best, value) : std::min(best, value);
  }
  return Value::number(best);
}

POLYPHONY_REGISTER(Metric, MeanMetric, "polyphony.metrics.MeanMetric", "weighted mean of values")
POLYPHONY_REGISTER(Metric, SumMetric, "polyphony.metrics.SumMetric", "sum of values")
POLYPHONY_REGISTER(Metric, MaxMetric, "polyphony.metrics.MaxMetric", "largest value")
POLYPHONY_REGISTER(Metric, MinMetric, "polyphony.metrics.MinMetric", "smallest value")

}  // namespace polyphony::metrics
