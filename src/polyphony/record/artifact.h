#pragma once

#include <filesystem>
#include <string>

#include <polyphony/record/recorder.h>

namespace polyphony::record {

/// Records a file with its size and SHA-256, which are taken on the recorder's thread; nothing
/// where the file is gone by then. Its name is "KIND/FILE".
Source file_artifact(std::string kind, std::filesystem::path path, std::string metadata = "");
/// Writes a figure's data to DIRECTORY/NAME.json and records it with the file's hash.
/// @param name  e.g. "test/confusion_matrix"; @param data  JSON
Source figure_artifact(std::string kind, std::string name, const std::filesystem::path& directory,
                       std::string data);

}  // namespace polyphony::record
