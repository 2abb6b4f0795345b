#pragma once

#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::record {

/// Leaves of nested hyper-parameters, their keys joined by "/"; lists and empty mappings are
/// leaves.
std::vector<std::pair<std::string, config::Node>> flat_hyper_parameters(const config::Node& values);

}  // namespace polyphony::record
