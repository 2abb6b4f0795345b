#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <polyphony/config/compose/compose.h>
#include <polyphony/job/app.h>

namespace polyphony::job {

/// A run's composition from its .hydra files: config.yaml, hydra.yaml, overrides.yaml.
/// @throws ComposeError, ConfigError where they are not what a run wrote
config::Composition read_composition(const std::filesystem::path& hydra_folder);
/// Writes those files.
void save_composition(const config::Composition& composition,
                      const std::filesystem::path& hydra_folder);

/// The composition of the run in a directory, with more overrides of values (the groups are
/// chosen), as it is in that directory now.
/// @throws UsageError for an override of hydra's own keys or of a whole group, ComposeError
config::Composition compose_earlier(const std::filesystem::path& run,
                                    const std::vector<std::string>& overrides);

/// Runs the task in the directory of that run, whose .hydra files stay as they are. Errors are
/// printed. @return the exit code
int run_in_place(const App& app, config::Composition composition);

}  // namespace polyphony::job
