#pragma once

#include <chrono>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace polyphony {

/// "14,7,24" as numbers.
inline std::vector<std::int64_t> integers(const std::string& text) {
  std::vector<std::int64_t> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) numbers.push_back(std::stoll(part));
  return numbers;
}

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

/// The JSON line that bench/side_by_side.py reads.
inline void print_measured(const std::vector<double>& seconds) {
  fmt::print("{{\"seconds\": [{:.6f}]}}\n", fmt::join(seconds, ", "));
}

}  // namespace polyphony
