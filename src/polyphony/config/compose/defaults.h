#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/compose/override.h>
#include <polyphony/config/compose/repository.h>
#include <polyphony/config/interpolate/interpolate.h>

namespace polyphony::config {

/// One file of the final list, in the order of merging.
struct ResolvedDefault {
  std::string config;   ///< "model/small"
  std::string package;  ///< where it is merged; "" is the root
  std::string parent;   ///< file that named it
  bool self = false;    ///< a `_self_`
  bool primary = false;
  std::string key;  ///< "group@package", where it is a group's option
};

/// The defaults lists as a tree: what `--info defaults-tree` shows.
struct DefaultsTree {
  std::string text;  ///< "group: option", a file, or "_self_"
  std::vector<DefaultsTree> children;
};

struct DefaultsList {
  std::vector<ResolvedDefault> files;
  /// Group key to option, in the order of choosing; nothing for null.
  std::vector<std::pair<std::string, std::optional<std::string>>> choices;
  DefaultsTree tree;
  std::vector<std::string> warnings;
  /// Options chosen on the command line that an `optional` entry let pass though no file has them.
  std::vector<std::string> hidden_typos;
};

struct DefaultsRequest {
  std::string primary;           ///< "" for none
  std::vector<Override> groups;  ///< the overrides whose key is a group; all must find their place
  bool legacy = false;           ///< version_base 1.1
  ResolveContext context;        ///< of ${...} in options
  bool skip_missing = false;     ///< let `group: ???` pass, as the first look of a multirun does
};

/// Expands Hydra's own defaults list and the primary configuration's, with group overrides.
/// @throws ComposeError
DefaultsList expand_defaults(Repository& repository, const DefaultsRequest& request);

}  // namespace polyphony::config
