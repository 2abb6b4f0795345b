#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/override.h>
#include <polyphony/config/repository.h>

namespace polyphony::config {

/// One file of the final list, in the order of merging.
struct ResolvedDefault {
  std::string config;   ///< "model/small"
  std::string package;  ///< where it is merged; "" is the root
  std::string parent;   ///< file that named it
  bool self = false;    ///< a `_self_`
};

struct DefaultsList {
  std::vector<ResolvedDefault> files;
  std::vector<std::pair<std::string, std::string>> choices;  ///< group key to option
  std::vector<std::string> warnings;
};

/// Expands the defaults list of the primary configuration, in Hydra's order, with group overrides.
/// @param groups  the overrides whose key is a group; all must find their place
/// @throws ComposeError
DefaultsList expand_defaults(Repository& repository, const std::string& primary,
                             const std::vector<Override>& groups, bool legacy);

}  // namespace polyphony::config
