#pragma once

#include <memory>
#include <optional>

#include <polyphony/dist/launch.h>
#include <polyphony/train/strategy.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::train {

/// What `strategy`, `devices`, `accelerator` and `num_nodes` ask for, as one of the processes that
/// the environment names (base/world.h). Waits until all of them have come.
/// @throws ConfigError if this build or machine cannot do it, or the options contradict the
/// environment
std::unique_ptr<Strategy> make_strategy(const TrainerOptions& options);

/// What `dist::launch` has to start before `make_strategy` can join it; nullopt if the options ask
/// for one process, or others have started them all.
/// @param threads  for all processes together; 0: one for each processor
std::optional<dist::LaunchOptions> processes_to_launch(const TrainerOptions& options, int threads);

}  // namespace polyphony::train
