#pragma once

#include <cstdint>

#include <polyphony/data/dataset.h>

namespace polyphony::train {

class Trainer;

/// One training batch: forward, backward and, where its gradients complete a step, the optimizer;
/// with the hooks in Lightning's order.
/// @param steps_now  whether the batch completes an optimizer step
/// @return the loss before it is divided by the batches of a step
/// @throws DataError where the loss is not finite, naming step and rows
double run_training_step(Trainer& trainer, const data::Batch& batch, std::int64_t index,
                         bool steps_now);

}  // namespace polyphony::train
