#pragma once

#include <string>

#include <polyphony/config/bind/fields.h>

namespace polyphony::train {

/// Seconds from "DD:HH:MM:SS", or a mapping of days, hours, minutes and seconds.
struct Duration {
  double seconds = 0;
};
bool read(const config::Node& node, Duration& duration);
std::string show(const Duration& duration);
inline const char* type_name(const Duration&) { return "DD:HH:MM:SS or dict"; }

}  // namespace polyphony::train
