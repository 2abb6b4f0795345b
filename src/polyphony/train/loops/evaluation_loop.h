#pragma once

#include <cstdint>

#include <polyphony/data/loader.h>
#include <polyphony/train/limit.h>
#include <polyphony/train/task.h>

namespace polyphony::train {

struct TrainerState;

/// Batches that a stage runs over. @throws ConfigError if a share of them is less than one
std::int64_t limited_batches(const data::Loader& loader, const Limit& limit, const char* option);

/// One pass of the task over validation or test rows, with its hooks.
/// @throws Interrupted before a batch, if a stop is asked for; nothing is saved then
MetricValues run_evaluation(TrainerState& state, data::Loader& loader, Stage stage,
                            std::int64_t batches);
/// What follows the on_validation_end hooks of callbacks; also if a fit goes on from a
/// checkpoint that was taken in them.
void finish_evaluation(TrainerState& state, Stage stage);

/// Logits of all rows in dataset order. @throws Interrupted as run_evaluation
at::Tensor run_prediction(TrainerState& state, data::Loader& loader, std::int64_t batches);

}  // namespace polyphony::train
