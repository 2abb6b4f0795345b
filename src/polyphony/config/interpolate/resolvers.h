#pragma once

#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/interpolate/interpolate.h>

namespace polyphony::config {

/// Failure inside a resolver, named as Python names it.
struct ResolverError {
  std::string type;  ///< "KeyError", "ValueError", "TypeError", …
  std::string what;
  std::string remedy = {};
};

/// The configuration that a resolver is called from.
class ResolverScope {
 public:
  virtual ~ResolverScope() = default;
  /// The resolved value at a key, "." before it for the caller's own level; "???" as it is.
  virtual std::optional<Node> select(const std::string& key) = 0;
  /// The same inside the `hydra` node.
  virtual std::optional<Node> select_hydra(const std::string& key) = 0;
  /// Evaluates one element, as oc.decode does.
  virtual Node decode(const std::string& text) = 0;
  /// The value with its own ${...} replaced, as if it stood at the caller's place.
  virtual Node adopt(const Node& value) = 0;
  virtual std::string caller() const = 0;  ///< dotted key of the text that calls
  virtual const ResolveContext& context() const = 0;
};

/// Calls a resolver; nothing where no resolver has the name. @throws ResolverError
std::optional<Node> call_resolver(const std::string& name, const std::vector<Node>& arguments,
                                  ResolverScope& scope);

/// Names of all resolvers, sorted.
std::vector<std::string> resolver_names(const ResolveContext& context);

}  // namespace polyphony::config
