#pragma once

#include <sys/resource.h>

#include <chrono>
#include <vector>

#include <fmt/format.h>

namespace polyphony {

/// Seconds of each of `count` calls.
template <class Step>
std::vector<double> time_steps(int count, const Step& step) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (int i = 0; i < count; ++i) {
    const Clock::time_point begin = Clock::now();
    step();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return seconds;
}

/// The JSON line that bench/side_by_side.py reads: seconds, and the peak memory of this process.
inline void print_measured(const std::vector<double>& seconds) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("{{\"seconds\": [{:.6f}], \"peak_mb\": {:.1f}}}\n", fmt::join(seconds, ", "),
             static_cast<double>(usage.ru_maxrss) / 1024);
}

}  // namespace polyphony
