#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <string>

#include <polyphony/config/node.h>

namespace polyphony::config {

/// What resolving depends on besides the configuration; tests hand in fakes.
struct ResolveContext {
  /// Environment lookup; nothing = the process's environment.
  std::function<std::optional<std::string>(const std::string&)> env;
  /// Time of ${now:...}, local; nothing = the time of the first call in this process.
  std::optional<std::tm> clock;
  /// What ${hydra:...} selects from.
  Node hydra;
  /// Called with the text of each warning (oc.deprecated); may be empty.
  std::function<void(const std::string&)> warn;
};

/// The configuration with every ${...} replaced. Missing values ("???") stay.
/// Marks are those of the place where the value was asked for.
/// @throws ComposeError (Interpolation... classes of OmegaConf) with key, file and line
Node resolve(const Node& root, const ResolveContext& context = {});

/// One text as if it stood at key `key` of the root mapping. @throws as resolve
Node resolve_text(const std::string& text, const Node& root, const ResolveContext& context = {},
                  const std::string& key = "");

}  // namespace polyphony::config
