#pragma once

#include <optional>
#include <string>
#include <vector>

#include <polyphony/tensor/value.h>
#include <polyphony/train/loops/trainer_state.h>

namespace polyphony::train {

/// The optimizer's and the schedule's state. If the steps of the whole fit are others than
/// before, or ResumeChoice says so, the schedule begins anew and goes to its place, so
/// that the rate follows the new curve from here on; a schedule that waits for a metric, or that a
/// callback put in its place, keeps its state.
/// @param schedule  its state; null if the checkpoint has none
/// @param steps_before  of the whole fit, as the checkpoint's schedule knew them
/// @return what has changed, a line each
std::vector<std::string> restore_rates(TrainerState& state, const tensor::Value& optimizer,
                                       const tensor::Value* schedule,
                                       std::optional<std::int64_t> steps_before);

}  // namespace polyphony::train
