#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

/// true, false or warn: whether irreproducible operations are refused, or warned of.
struct Deterministic {
  enum class Mode { kOff, kOn, kWarn } mode = Mode::kOn;
};
bool read(const config::Node& node, Deterministic& value);
std::string show(const Deterministic& value);
inline const char* type_name(const Deterministic&) { return "bool or warn"; }

/// auto, a number (-1: all), or a list of indices, given as YAML or as text ("0,1").
struct Devices {
  bool automatic = true;
  std::int64_t count = 1;  ///< -1: all
  std::vector<std::int64_t> indices;
};
bool read(const config::Node& node, Devices& devices);
std::string show(const Devices& devices);
inline const char* type_name(const Devices&) { return "auto, int or list[int]"; }

/// 32, bf16 or 16, as number or text, or Lightning 2's names.
enum class Precision { k32, kBf16, k16 };
bool read(const config::Node& node, Precision& precision);
std::string show(Precision precision);
inline const char* type_name(const Precision&) { return "32|bf16|16"; }

/// Seconds from "DD:HH:MM:SS", or a mapping of days, hours, minutes and seconds.
struct Duration {
  double seconds = 0;
};
bool read(const config::Node& node, Duration& duration);
std::string show(const Duration& duration);
inline const char* type_name(const Duration&) { return "DD:HH:MM:SS or dict"; }

}  // namespace polyphony::train
