#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <polyphony/hub/snapshot.h>

namespace polyphony::hub {

/// The names that a pattern matches, without the pickles where safetensors hold the weights.
std::vector<std::string> select(const std::vector<std::string>& names, const Wanted& wanted);

/// What a folder lacks of what is needed, e.g. "config.json" or "model.safetensors or
/// pytorch_model.bin"; the shards that an index names count too. Broken links count as missing.
std::vector<std::string> missing_files(const std::filesystem::path& folder, const Wanted& wanted);

/// The same of a listing of the hub's.
std::vector<std::string> missing_files(const std::vector<std::string>& names, const Wanted& wanted);

/// The files that a *.index.json names.
/// @throws DataError where it is no index
std::vector<std::string> shards_of(const std::filesystem::path& index);

}  // namespace polyphony::hub
