#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// Types an unquoted YAML scalar: PyYAML's YAML 1.1 rules with OmegaConf's float rule, no
/// timestamps.
/// @throws ComposeError (ValueError) where the text has a number's form but no digits ("0b_", "._")
Node type_plain_scalar(std::string_view text);

/// The number of a scalar tagged !!int or !!float, as PyYAML's constructor reads it.
/// @throws ComposeError (ValueError, IndexError) where the text is none
Node yaml_integer(std::string_view text);
double yaml_real(std::string_view text);

/// True where PyYAML's own resolver (floats of YAML 1.1, timestamps) would not read a string.
bool pyyaml_reads_as_other(std::string_view text);

/// What Python's int(text) and float(text) read; nothing where they fail.
std::optional<Node> python_int(std::string_view text);
std::optional<double> python_float(std::string_view text);

/// Python's repr of a float: shortest digits that read back, "1e-05", "1.0", "inf", "nan".
std::string float_repr(double value);
/// Python's str() of a node: True, None, 1e-05, ['a', 1], {'k': 'v'}.
std::string python_str(const Node& node);
/// Python's repr(): as str(), with strings quoted.
std::string python_repr(const Node& node);

/// An integer of any size from digits of a base (2, 8, 10, 16), underscores already removed.
Node make_integer(std::string_view digits, int base, bool negative);

/// ASCII lower case.
std::string lower(std::string_view text);

}  // namespace polyphony::config
