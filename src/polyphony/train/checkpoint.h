#pragma once

#include <filesystem>
#include <optional>

#include <ATen/core/Tensor.h>

#include <polyphony/tensor/value.h>
#include <polyphony/train/stage.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {

class LastStep;

/// The running fit as Lightning's checkpoint, with all that an exact resume needs beside.
/// @param last  as it was then, without asking other processes; null: as it is now
tensor::Value dump_checkpoint(Trainer& trainer, Contents contents, const LastStep* last = nullptr);

/// DIRECTORY/STEM.ckpt, or the first of STEM-v1.ckpt, STEM-v2.ckpt … that is not there yet, or is
/// `own`.
std::filesystem::path free_checkpoint(const std::filesystem::path& directory,
                                      const std::string& stem,
                                      const std::filesystem::path& own = {});

/// Writes what `dump_checkpoint` gave, whole or not at all. Every process calls it, rank 0 writes.
void write_checkpoint(Trainer& trainer, const std::filesystem::path& path,
                      const tensor::Value& checkpoint);

/// Weights and the callbacks' states, before the fit is set up.
/// @throws DataError naming the file where it does not fit
void restore_model_and_callbacks(Trainer& trainer, const tensor::Value& checkpoint,
                                 const std::filesystem::path& path);
/// Optimizer, schedule, progress, accumulators and logged values.
/// @return the state that the random generator is to be put in; undefined where none was saved
at::Tensor restore_training_state(Trainer& trainer, const tensor::Value& checkpoint,
                                  const std::filesystem::path& path);

/// A checkpoint as it is; for a run's directory, or that of its checkpoints, the best one by its
/// ModelCheckpoint.
/// @throws DataError where the directory holds none
std::filesystem::path best_checkpoint(const std::filesystem::path& checkpoint_or_run);

/// The state dict inside a checkpoint, or a .safetensors file.
/// @throws DataError where the file holds none
NamedTensors load_state_dict(const std::filesystem::path& checkpoint);

}  // namespace polyphony::train
