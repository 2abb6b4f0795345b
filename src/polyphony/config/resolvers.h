#pragma once

#include <string>
#include <vector>

#include <polyphony/config/interpolate.h>

namespace polyphony::config {

/// Failure inside a resolver, named as Python names it.
struct ResolverError {
  std::string type;  ///< "KeyError", "ValueError", "TypeError", …
  std::string what;
};

/// Resolvers that need only their arguments: oc.env, now, oc.dict.keys; others need the tree.
/// @throws ResolverError
Node resolve_env(const std::vector<Node>& arguments, const ResolveContext& context);
Node resolve_now(const std::vector<Node>& arguments, const ResolveContext& context);
Node resolve_dict_keys(const Node& map);

}  // namespace polyphony::config
