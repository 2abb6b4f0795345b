#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "process.h"

namespace polyphony {

/// polyphony in `folder`, with its run store in logs/polyphony.db below it.
Program polyphony_in(const std::filesystem::path& folder, std::vector<std::string> arguments);

/// Runs it to its end.
Finished run_program(const std::filesystem::path& folder, std::vector<std::string> arguments);

/// Writes manifest.csv and half-second tones, one pitch a class (small, big, other), into `folder`:
/// 24 rows of train, 6 of val, 9 of test.
std::filesystem::path write_tones(const std::filesystem::path& folder);

/// Arguments of `polyphony VERB` that train an audio model on such a manifest in seconds.
std::vector<std::string> small_run(const std::string& verb, const std::filesystem::path& manifest);

}  // namespace polyphony
