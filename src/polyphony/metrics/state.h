#pragma once

#include <functional>
#include <span>
#include <vector>

namespace polyphony::metrics {

/// How processes put their states together.
struct Exchange {
  /// Adds up each number over all processes, in place: an all-reduce.
  std::function<void(std::span<double>)> sum;
  /// Every process's numbers, one process after the other, in rank order: an all-gather of parts of
  /// unequal length.
  std::function<std::vector<double>(std::span<const double>)> gather;
};

/// What a collection has counted: sums, which add across batches and processes, and rows, which are
/// laid end to end. Counts are whole numbers in doubles, exact below 2^53.
struct State {
  std::vector<double> sums;
  std::vector<std::vector<double>> rows;  ///< one list for each accumulator

  /// Adds another state of the same shape.
  void merge(const State& other);
  /// The state of all processes: one `sum` for everything, and one `gather` if anything keeps
  /// rows. Every process must call it. @param keeps_rows  the same on every process
  State over_processes(const Exchange& exchange, bool keeps_rows) const;

  /// The state as one list of numbers, for a checkpoint; `from_flat` gives it back bit for bit.
  std::vector<double> flat() const;
  /// @throws DataError if the list is damaged
  static State from_flat(std::span<const double> numbers);

  bool operator==(const State& other) const = default;
};

}  // namespace polyphony::metrics
