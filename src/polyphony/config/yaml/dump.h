#pragma once

#include <string>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// The text that OmegaConf.to_yaml writes: block style, width 80, PyYAML's quoting. Ends in a
/// newline.
std::string to_yaml(const Node& node);

/// JSON; nan and infinities as the strings "NaN", "Infinity", "-Infinity", keys as text.
/// @param indent  -1 for one line
std::string to_json(const Node& node, int indent = -1);

/// JSON that keeps what JSON has no form for: {"$float":"nan"}, {"$bytes":BASE64} and
/// {"$map":[[key,value],...]} for a mapping with a key that is no text. Integers of any size are
/// written out.
std::string to_tagged_json(const Node& node, int indent = -1);

}  // namespace polyphony::config
