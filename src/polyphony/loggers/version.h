#pragma once

#include <optional>
#include <string>

#include <polyphony/config/bind/fields.h>

namespace polyphony::loggers {

/// Whether a node can be Lightning's `version` of a logger: a number, a text or null.
bool is_version(const config::Node& node);
/// nullopt for null: the next one.
std::optional<std::string> version_text(const config::Node& node);

}  // namespace polyphony::loggers
