#pragma once

#include <cstdint>

#include <polyphony/data/dataset.h>

namespace polyphony::train {

struct TrainerState;

/// What a batch is to its optimizer step.
struct StepPart {
  /// Of the batch in a step of several processes (data::Loader::weight). 0: the process has no row
  /// of its own, and only keeps step: nothing that the batch makes counts.
  double weight = 1;
  bool steps_now = true;  ///< whether it completes the step
};

/// One training batch: forward, backward and, if its gradients complete a step, the optimizer;
/// with the hooks in Lightning's order.
/// @return the loss before it is weighed and divided by the batches of a step
/// @throws DataError if the loss is not finite, naming step and rows
double run_training_step(TrainerState& state, const data::Batch& batch, std::int64_t index,
                         const StepPart& part);

}  // namespace polyphony::train
