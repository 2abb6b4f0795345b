#pragma once

#include <string_view>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// May keys be there that Hydra's settings do not have? A file may not bring any, `+` may.
enum class UnknownKeys { kReject, kKeep };

/// Checks the `hydra` node against the types of Hydra's settings, converting as OmegaConf's typed
/// nodes do ("7" to 7 for an int, 0.001 to "0.001" for a string).
/// @throws ComposeError (ConfigCompositionException) with key, file and line
void check_hydra_types(Node& hydra, UnknownKeys unknown);

/// True for settings that are an optional mapping of a type (hydra.sweeper.params).
bool is_optional_hydra_mapping(std::string_view key);

}  // namespace polyphony::config
