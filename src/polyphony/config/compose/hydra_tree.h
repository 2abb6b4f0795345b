#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace polyphony::config {

/// One file of the configuration tree that Hydra brings along (its `pkg://hydra.conf`).
struct BuiltInConfig {
  std::string_view path;  ///< "hydra/job_logging/default"
  std::string_view package_header;
  std::string_view text;  ///< YAML
};

/// Null pointer where Hydra has no such file.
const BuiltInConfig* find_built_in(std::string_view path);
bool is_built_in_group(std::string_view group);
/// Option names of a built-in group, in no order.
std::vector<std::string> built_in_options(std::string_view group);

}  // namespace polyphony::config
