#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>

namespace polyphony::train {

/// auto, a number (-1: all), or a list of indices, given as YAML or as text ("0,1").
struct Devices {
  bool automatic = true;
  std::int64_t count = 1;  ///< -1: all
  std::vector<std::int64_t> indices;
};
bool read(const config::Node& node, Devices& devices);
std::string show(const Devices& devices);
inline const char* type_name(const Devices&) { return "auto, int or list[int]"; }

}  // namespace polyphony::train
