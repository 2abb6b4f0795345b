#pragma once

#include <filesystem>
#include <string>

#include <polyphony/tensor/named_tensors.h>
#include <polyphony/tensor/value.h>

namespace polyphony::train {

/// A checkpoint as it is; for a run's directory, or that of its checkpoints, the best one by its
/// ModelCheckpoint.
/// @throws DataError if the directory holds none
std::filesystem::path best_checkpoint(const std::filesystem::path& checkpoint_or_run);

/// The state dict inside a checkpoint, or a .safetensors file.
/// @throws DataError if the file holds none
tensor::NamedTensors load_state_dict(const std::filesystem::path& checkpoint);

/// One of a checkpoint's entries. @throws DataError naming the file if there is none
const tensor::Value& entry_of(const tensor::Value& checkpoint, const std::string& key,
                              const std::filesystem::path& path);
/// A dict of tensors.
tensor::NamedTensors tensors_of(const tensor::Value& dict);

}  // namespace polyphony::train
