#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/compose/defaults.h>
#include <polyphony/config/yaml/node.h>

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
  /// Hydra takes the name of the program's file.
  std::string job_name = "app";
  /// A multirun's first look: sweeps are let pass, and groups may still be `???`.
  bool multirun = false;
  /// Environment lookup; nothing = the process's environment.
  std::function<std::optional<std::string>(const std::string&)> env;
  /// Told of every step; may be null.
  ComposeObserver* observer = nullptr;
};

struct Composition {
  Node config;  ///< unresolved; without the hydra node
  Node hydra;   ///< unresolved hydra node
  std::vector<std::string> task_overrides, hydra_overrides;
  /// Group key to option, in the order of choosing, Hydra's own ("hydra/…") last.
  std::vector<std::pair<std::string, std::optional<std::string>>> choices;
  std::vector<ResolvedDefault> defaults;  ///< files in the order merged, Hydra's own first
  DefaultsTree tree;                      ///< the defaults lists, from "<root>"
  std::string override_dirname;
  std::vector<std::string> warnings;  ///< the original's
  /// Options that an `optional` group let pass though no file has them; the original is silent.
  std::vector<std::string> hidden_typos;
};

/// Composes a configuration as Hydra 1.3 does. Every value keeps the mark of where it was written.
/// @throws ComposeError with Hydra's class name, key, file, line and remedy
Composition compose(const ComposeRequest& request);
/// The same with files read before: for the jobs of one multirun.
Composition compose(const ComposeRequest& request, Repository& repository);

/// The repository that a request searches. @throws ComposeError (HydraException) for a bad
/// version_base
Repository repository_of(const ComposeRequest& request);

}  // namespace polyphony::config
