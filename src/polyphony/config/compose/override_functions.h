#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <polyphony/config/compose/override.h>

namespace polyphony::config {

/// A value, or a sweep, inside an override.
struct OverrideElement {
  Node value;
  std::optional<Sweep> sweep;
};

/// One argument of a function; the name is empty where it is positional.
struct OverrideArgument {
  std::string name;
  OverrideElement element;
};

/// Wrong name or arguments of a function; the parser adds the place.
class FunctionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// choice, range, interval, glob, sort, shuffle, tag, int, float, bool, str, json_str.
/// @throws FunctionError
OverrideElement call_override_function(const std::string& name,
                                       std::vector<OverrideArgument> arguments);

}  // namespace polyphony::config
