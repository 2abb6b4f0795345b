#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace polyphony::metrics {

class Batch;

/// Where an accumulator writes: its part of a collection's state.
struct Slot {
  std::span<double> sums;     ///< add across batches and processes
  std::vector<double>& rows;  ///< laid end to end across batches and processes
};

/// The same, to read.
struct View {
  std::span<const double> sums;
  std::span<const double> rows;
};

/// What a metric counts of each batch. It holds no state itself: several metrics that count the
/// same share one slot, and a state can be summed, saved and restored without knowing what it is.
class Accumulator {
 public:
  virtual ~Accumulator() = default;

  /// Accumulators with equal keys count the same.
  virtual std::string key() const = 0;
  /// How many sums it keeps; they start at 0.
  virtual std::size_t sums() const = 0;
  /// Whether it keeps rows.
  virtual bool keeps_rows() const { return false; }
  /// Counts a batch. @throws DataError if it does not fit, before anything is counted
  virtual void update(const Batch& batch, Slot slot) const = 0;
};

}  // namespace polyphony::metrics
