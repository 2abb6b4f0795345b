#pragma once

#include <string>
#include <string_view>

#include <polyphony/config/node.h>
#include <polyphony/config/override.h>

namespace polyphony::config {

/// Merges `from` into `into` as OmegaConf does: mappings deep, lists whole, "???" never over a
/// value.
/// @param path  dotted path of `into`, for messages
/// @throws ComposeError where a mapping meets a list
void merge(Node& into, const Node& from, const std::string& path = "");

/// Applies a value override to a composed configuration that accepts known keys only.
/// @throws ComposeError (ConfigCompositionException) naming the key and the nearest known one
void apply_override(Node& root, const Override& change);

/// The node wrapped in mappings, one for each part of the package; "" gives the node itself.
Node in_package(Node node, std::string_view package);

}  // namespace polyphony::config
