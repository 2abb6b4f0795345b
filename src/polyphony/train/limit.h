#pragma once

#include <cstdint>
#include <string>

#include <polyphony/config/bind/fields.h>

namespace polyphony::train {

/// A number of batches (an int in YAML) or a share of them (a float).
struct Limit {
  bool share = true;
  double value = 1.0;

  static Limit batches(std::int64_t count) { return {false, static_cast<double>(count)}; }
  static Limit fraction(double share_of_all) { return {true, share_of_all}; }
  bool is_zero() const { return value == 0; }
  /// Of `all` batches: at most as many as there are; a share is rounded down.
  std::int64_t of(std::int64_t all) const;
};

bool read(const config::Node& node, Limit& limit);
std::string show(const Limit& limit);
inline const char* type_name(const Limit&) { return "int or float"; }

/// A flag, or a number of batches: fast_dev_run.
struct FlagOrCount {
  std::int64_t count = 0;  ///< 0: off
};
bool read(const config::Node& node, FlagOrCount& value);
std::string show(const FlagOrCount& value);
inline const char* type_name(const FlagOrCount&) { return "bool or int"; }

}  // namespace polyphony::train
