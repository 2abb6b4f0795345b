#pragma once

#include <ctime>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// What ${name:a,b} gives for its arguments. An exception becomes InterpolationResolutionError.
using ResolverFunction = std::function<Node(const std::vector<Node>& arguments)>;

/// What resolving depends on besides the configuration; tests hand in fakes.
struct ResolveContext {
  /// Environment lookup; nothing = the process's environment.
  std::function<std::optional<std::string>(const std::string&)> env;
  /// Time of ${now:...}, local; nothing = the time of the first call in this process.
  std::optional<std::tm> clock;
  /// What ${hydra:...} selects from; null outside of a run, where asking is an error.
  Node hydra;
  /// Called with the text of each warning (oc.deprecated); may be empty.
  std::function<void(const std::string&)> warn;
  /// Resolvers beside the built-in and the registered ones; these come first.
  std::map<std::string, ResolverFunction> resolvers;
  /// Is a value that is still "???" an error (MissingMandatoryValue)?
  bool throw_on_missing = false;
};

/// Makes ${name:...} known to every configuration of this process.
/// @throws std::invalid_argument for a name that is taken
void register_resolver(const std::string& name, ResolverFunction function);

/// The configuration with every ${...} replaced. Missing values ("???") stay.
/// Marks are those of the place where the value was asked for.
/// @throws ComposeError (Interpolation... classes of OmegaConf) with key, file and line
Node resolve(const Node& root, const ResolveContext& context = {});

/// One text as if it stood at key `key` of the root mapping. @throws as resolve
Node resolve_text(const std::string& text, const Node& root, const ResolveContext& context = {},
                  const std::string& key = "");

/// The resolved value at a dotted key ("trainer.max_epochs", "a[0].b"); nothing where it is absent
/// or missing, or where a plain value stands in the way. @throws as resolve
std::optional<Node> select(const Node& root, const std::string& key,
                           const ResolveContext& context = {});

/// The resolved value at a dotted key, which must be there.
/// @throws ComposeError (ConfigKeyError, MissingMandatoryValue) naming the nearest key
Node at_key(const Node& root, const std::string& key, const ResolveContext& context = {});

}  // namespace polyphony::config
