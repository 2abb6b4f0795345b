#pragma once

#include <filesystem>
#include <string>

#include <ATen/core/Tensor.h>

#include <polyphony/tensor/value.h>
#include <polyphony/train/loops/trainer_state.h>

namespace polyphony::train {

class LastStep;

/// The running fit as Lightning's checkpoint, with all that an exact resume needs beside.
/// @param last  as it was then, without asking other processes; null: as it is now
tensor::Value dump_checkpoint(TrainerState& state, Contents contents,
                              const LastStep* last = nullptr);

/// DIRECTORY/STEM.ckpt, or the first of STEM-v1.ckpt, STEM-v2.ckpt … that is free, or is `own`.
std::filesystem::path free_checkpoint(const std::filesystem::path& directory,
                                      const std::string& stem,
                                      const std::filesystem::path& own = {});

/// Weights and the callbacks' states, before the fit is set up.
/// @throws DataError naming the file if it does not fit
void restore_model_and_callbacks(TrainerState& state, const tensor::Value& checkpoint,
                                 const std::filesystem::path& path);
/// Optimizer, schedule, progress, accumulators and logged values.
/// @return the state that the random generator is to be put in; undefined if none was saved
at::Tensor restore_training_state(TrainerState& state, const tensor::Value& checkpoint,
                                  const std::filesystem::path& path);

}  // namespace polyphony::train
