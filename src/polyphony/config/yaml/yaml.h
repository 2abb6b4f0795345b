#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// Reads one YAML document, typed as PyYAML 1.1 with OmegaConf's float rule types it.
/// Every value carries the source and line it stands on. An empty document is null.
/// @param source  file path, for marks and messages
/// @throws ComposeError for bad syntax, duplicate string keys, unknown tags, more than one document
Node parse_yaml(std::string_view text, const std::string& source);

/// @throws IoError where the file cannot be read, else as parse_yaml
Node load_yaml(const std::filesystem::path& path);

}  // namespace polyphony::config
