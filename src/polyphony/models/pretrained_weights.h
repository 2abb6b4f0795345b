#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <torch/nn/module.h>

#include <polyphony/models/pretrained_config.h>
#include <polyphony/models/pretrained_folder.h>
#include <polyphony/tensor/safetensors.h>

namespace polyphony::models {

/// What a checkpoint had for a model, and what it had not.
struct LoadReport {
  std::vector<std::string> unexpected;  ///< names of the checkpoint that the model has not
  std::vector<std::string> missing;     ///< weights of the model that were drawn anew
  std::vector<std::string> mismatched;  ///< drawn anew too: the checkpoint's have another shape

  /// What Transformers says of it; empty if there is nothing to say.
  /// @param model  the class, e.g. "HubertForSequenceClassification"; source: the folder
  std::string text(const std::string& model, const std::string& source) const;
};

enum class Mismatch { kRefuse, kDrawAnew };

/// Gives a module the weights of a checkpoint; those it has not are drawn from the seeded
/// generator, as Transformers initialises them. Names may be with or without the family's prefix.
/// @param prefix  what the names of the encoder's weights begin with in the module, e.g. "hubert.";
///   empty if the module is the encoder itself
/// Half-width weights become float32. Beside the module at most one file is in memory.
/// @throws DataError if nothing of the encoder is in the checkpoint, shapes differ, or weights are
///   no floating-point numbers
LoadReport load_weights(torch::nn::Module& module, const std::string& prefix,
                        const PretrainedConfig& config, WeightFiles weights,
                        const std::string& source, Mismatch mismatch);

/// Draws all weights of a module from the seeded generator.
void draw_weights(torch::nn::Module& module, const PretrainedConfig& config);

/// Parameters and buffers under Transformers' names.
tensor::TensorMap weights_of(const torch::nn::Module& module);

}  // namespace polyphony::models
