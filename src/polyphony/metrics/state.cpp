#include <polyphony/metrics/state.h>

#include <polyphony/base/error.h>

namespace polyphony::metrics {
namespace {

void append(std::vector<double>& numbers, std::span<const double> list) {
  numbers.push_back(static_cast<double>(list.size()));
  numbers.insert(numbers.end(), list.begin(), list.end());
}

/// Takes a list that `append` wrote from the front of `numbers`.
std::span<const double> take(std::span<const double>& numbers) {
  const bool whole = !numbers.empty() && numbers.front() >= 0 &&
                     numbers.front() <= static_cast<double>(numbers.size() - 1);
  if (!whole) {
    throw DataError("the saved state of the metrics is damaged: a list is cut short",
                    "resume from another checkpoint");
  }
  const auto length = static_cast<std::size_t>(numbers.front());
  const std::span<const double> list = numbers.subspan(1, length);
  numbers = numbers.subspan(1 + length);
  return list;
}

}  // namespace

void State::merge(const State& other) {
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].insert(rows[i].end(), other.rows[i].begin(), other.rows[i].end());
  }
}

State State::over_processes(const Exchange& exchange, bool keeps_rows) const {
  State all{sums, std::vector<std::vector<double>>(rows.size())};
  if (!all.sums.empty()) exchange.sum(all.sums);
  if (!keeps_rows) return all;
  std::vector<double> mine;
  for (const std::vector<double>& list : rows) append(mine, list);
  const std::vector<double> gathered = exchange.gather(mine);
  std::span<const double> rest = gathered;
  while (!rest.empty()) {
    for (std::vector<double>& list : all.rows) {
      const std::span<const double> part = take(rest);
      list.insert(list.end(), part.begin(), part.end());
    }
  }
  return all;
}

std::vector<double> State::flat() const {
  std::vector<double> numbers;
  append(numbers, sums);
  for (const std::vector<double>& list : rows) append(numbers, list);
  return numbers;
}

State State::from_flat(std::span<const double> numbers) {
  State state;
  const std::span<const double> first = take(numbers);
  state.sums.assign(first.begin(), first.end());
  while (!numbers.empty()) {
    const std::span<const double> list = take(numbers);
    state.rows.emplace_back(list.begin(), list.end());
  }
  return state;
}

}  // namespace polyphony::metrics
