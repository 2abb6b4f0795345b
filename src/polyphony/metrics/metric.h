#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <polyphony/metrics/accumulator.h>

namespace polyphony::metrics {

/// What a metric answers: a number, one a class [classes], a matrix [classes, classes], …
struct Value {
  std::vector<double> data;
  std::vector<std::int64_t> shape;  ///< empty: a number

  static Value number(double value) { return {{value}, {}}; }
  bool is_number() const { return shape.empty(); }
};

/// A metric: what it counts of each batch, and what it makes of the counts. It holds no state;
/// MetricCollection does.
class Metric {
 public:
  static constexpr const char* kKind = "Metric";
  virtual ~Metric() = default;

  /// TorchMetrics' class, e.g. "MulticlassF1Score": the name under which it is logged.
  virtual std::string name() const = 0;
  virtual std::shared_ptr<const Accumulator> accumulator() const = 0;
  /// @param state  the slot of its accumulator, over all rows of all processes
  virtual Value compute(View state) const = 0;
};

}  // namespace polyphony::metrics
