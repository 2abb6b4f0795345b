#pragma once

#include <filesystem>
#include <string>

#include <polyphony/tensor/safetensors.h>

namespace polyphony::models {

/// The folder of a pretrained model: a local folder is itself, another name is asked of the hub and
/// its cache. @throws as hub::snapshot
std::filesystem::path pretrained_folder(const std::string& name);

/// The weights of a folder in Hugging Face's layout: model.safetensors, its shards
/// (model.safetensors.index.json), pytorch_model.bin or its shards, whichever comes first, under
/// today's names: LayerNorm's gamma and beta are weight and bias, a weight norm's parametrizations
/// are weight_g and weight_v.
/// @throws IoError; DataError naming the file where it is missing or damaged
tensor::TensorMap read_weights(const std::filesystem::path& folder);

/// Copies what belongs to a model beside its weights (tokenizer and preprocessor files) from one
/// folder to another, as far as it is there.
void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace polyphony::models
