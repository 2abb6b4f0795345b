#pragma once

#include <polyphony/pipeline/entry.h>

namespace polyphony::pipeline {

/// Does what `mode` of the configuration says (train, test, predict) and records the run.
/// Where the trainer wants several processes, starts them (or is one of those that others started).
/// @throws Error; the run is recorded as failed or interrupted before the error leaves
void run_experiment(const Request& request);

}  // namespace polyphony::pipeline
