#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace polyphony::record {

/// Lightning's place of a run: SAVE_DIR/NAME/version_N, N one above the highest there is; made
/// here, and no two processes get the same one.
/// @param name     "" for none
/// @param version  a directory's name to use as it is, or digits N for version_N
/// @throws IoError naming path and reason
std::filesystem::path version_directory(const std::filesystem::path& save_dir,
                                        const std::string& name,
                                        const std::optional<std::string>& version);

}  // namespace polyphony::record
