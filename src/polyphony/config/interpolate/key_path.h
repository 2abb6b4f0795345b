#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

using KeyPath = std::vector<std::string>;

/// The parts of "a.b[c].d", as OmegaConf splits them; leading dots become empty parts.
KeyPath split_key(std::string_view key);
std::string dotted(const KeyPath& path);

/// The child that one part of a key names; null pointer where there is none. In a mapping only
/// string keys are named by a text. @param node  a mapping or a list; a list's part is an index
const Node* child_of(const Node& node, std::string_view part);
/// True for what Python's int() reads.
bool is_index(std::string_view part);

}  // namespace polyphony::config
