#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/defaults.h>
#include <polyphony/config/node.h>

namespace polyphony::config {

/// Watches a composition, step by step.
class ComposeObserver {
 public:
  virtual ~ComposeObserver() = default;
  /// A file's content has been merged into the root, at the file's package.
  virtual void merged(const ResolvedDefault& file, const Node& content, const Node& root) = 0;
  /// A value override has been applied.
  virtual void changed(const Override& change, const Node& root) = 0;
};

struct ComposeRequest {
  std::filesystem::path config_dir;
  std::string config_name;                         ///< without extension; "" for no primary file
  std::vector<std::string> overrides;              ///< as on the command line
  std::optional<std::string> version_base;         ///< nothing = newest; "1.1" = the old ways
  std::vector<std::filesystem::path> search_path;  ///< searched after config_dir
  ComposeObserver* observer = nullptr;             ///< told of every step; may be null
};

struct Composition {
  Node config;  ///< unresolved; without the hydra node
  Node hydra;   ///< unresolved hydra node
  std::vector<std::string> task_overrides, hydra_overrides;
  std::vector<std::pair<std::string, std::string>> choices;  ///< group to option
  std::vector<ResolvedDefault> defaults;                     ///< files in the order merged
  std::vector<std::string> warnings;
};

/// Composes a configuration as Hydra 1.3 does. Every value keeps the mark of where it was written.
/// @throws ComposeError with Hydra's class name, key, file, line and remedy
Composition compose(const ComposeRequest& request);

}  // namespace polyphony::config
