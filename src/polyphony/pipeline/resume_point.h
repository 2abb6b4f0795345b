#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include <polyphony/config/yaml/node.h>
#include <polyphony/dist/collective.h>
#include <polyphony/dist/launch.h>
#include <polyphony/pipeline/entry.h>
#include <polyphony/pipeline/resume_guard.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::pipeline {

/// Where a run goes on in its own directory.
struct ResumePoint {
  std::filesystem::path checkpoint;
  std::int64_t rows = 0;  ///< of metrics.csv when it was saved
};

/// Refuses what resume_point would, in the process that is going to start the others: once, and
/// with nothing started. Does nothing where none are started here.
/// @throws as resume_point
void refuse_before_launch(const Request& request, const config::Node& config,
                          const train::TrainerOptions& trainer, const ResumeGuard& guard,
                          const std::optional<dist::LaunchOptions>& launch);

/// The checkpoint that the run of `request.continuation` goes on from: the one that was named, or
/// of those in its folders that are whole the one with most steps, the newest of several. Every
/// process calls it; rank 0 looks, and says which. nullopt where nothing is to go on.
/// Once the guard accepts one that was named, the run's later ones are renamed to
/// NAME.before-resume.
/// @param config  resolved: its callbacks and training arguments name more folders
/// @throws DataError where there is none; UsageError where the run has ended, and nothing is left
/// to train; ConfigError where the guard refuses its options: nothing of the run is touched then
std::optional<ResumePoint> resume_point(const Request& request, const config::Node& config,
                                        const train::TrainerOptions& trainer, ResumeGuard& guard,
                                        dist::Collective& collective);

}  // namespace polyphony::pipeline
