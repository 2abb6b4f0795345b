#pragma once

#include <memory>
#include <vector>

#include <polyphony/train/callback.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::callbacks {

/// The configured callbacks with those that Lightning adds by itself: a progress bar, a model
/// summary, a checkpoint of the newest epoch and a timer, if the options ask for them and none
/// of the kind is configured. @throws ConfigError if enable_checkpointing is off but a
/// ModelCheckpoint is configured
std::vector<std::unique_ptr<train::Callback>> with_defaults(
    std::vector<std::unique_ptr<train::Callback>> configured, const train::TrainerOptions& options);

}  // namespace polyphony::callbacks
