#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <polyphony/config/compose/override.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// How a merge treats what the two sides disagree on.
struct MergeOptions {
  /// False in struct mode: a key that `into` lacks is an error (ConfigKeyError).
  bool may_add = true;
  /// The whole configuration `into` belongs to: a mapping merged over "${key}" is merged over what
  /// that stands for. Null pointer: it replaces the text.
  const Node* root = nullptr;
  std::string path;  ///< dotted path of `into`, for messages
};

/// Merges `from` into `into` as OmegaConf does: mappings deep, lists whole, "???" never over a
/// value.
/// @throws ComposeError (ConfigTypeError) where a mapping meets a list
void merge(Node& into, const Node& from, const MergeOptions& options = {});

/// Merges `from` into what stands at a package of `root`, made where it is not there.
void merge_at(Node& root, const Node& from, const std::string& package,
              const MergeOptions& options = {});

/// Applies a value override to a composed configuration that accepts known keys only.
/// @throws ComposeError (ConfigCompositionException) naming the key and the nearest known one
void apply_override(Node& root, const Override& change, const ResolveContext& context = {});

/// The node wrapped in mappings, one for each part of the package; "" gives the node itself.
Node in_package(Node node, std::string_view package);

}  // namespace polyphony::config
