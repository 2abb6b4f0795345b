#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <polyphony/models/pretrained_config.h>

namespace polyphony::models {

/// A batch of one modality.
struct EncoderInput {
  at::Tensor values;          ///< speech: float [batch, samples] at 16 kHz; text: int64 ids
  at::Tensor attention_mask;  ///< of the shape of `values`, not 0 where real; undefined: all real
  at::Tensor token_type_ids;  ///< text: int64 [batch, tokens]; undefined: all 0
};

enum class Padding {
  kKeep,  ///< as many positions as the batch has
  kTrim,  ///< as many as the longest row needs; real positions get the same numbers
};

struct EncodeOptions {
  std::int64_t last_layer = -1;  ///< layers above are not computed; 0: none; -1: all are
  bool hidden_states = false;    ///< keep those of every layer
  Padding padding = Padding::kKeep;
  at::ScalarType type = at::kFloat;  ///< of the products of the layers; bfloat16 is faster
};

/// `hidden_states[k]` of Transformers: 0 enters the first layer, N leaves the last.
struct EncoderOutput {
  at::Tensor sequence;  ///< float [batch, positions, dims], hidden_states[last_layer]
  at::Tensor mask;      ///< bool [batch, positions], true where real; undefined: all real
  std::vector<at::Tensor> hidden_states;  ///< 0 to last_layer, if they were asked for
};

/// A pretrained encoder without a head. Names of its weights are those of Transformers' model.
class EncoderNetwork : public torch::nn::Module {
 public:
  explicit EncoderNetwork(const PretrainedConfig& config);

  /// @throws DataError for a batch that does not fit, naming what is wrong
  virtual EncoderOutput encode(const EncoderInput& input, const EncodeOptions& options) = 0;
  /// Stops the training of everything below layer `layers`: embeddings or convolutions, and the
  /// first `layers` layers.
  void freeze_layers(std::int64_t layers);
  /// Layers keep their input only, and are run again in the backward pass.
  void checkpoint_gradients(bool on) { checkpointing_ = on; }

  const PretrainedConfig& config() const { return config_; }
  std::int64_t dims() const { return config_.layer.dims; }

 protected:
  /// Registers the layers under "encoder.NAME.N".
  void make_layers(const std::string& name);
  /// Runs the layers up to the last wanted; fills the output but for its mask. Padding that is not
  /// to be kept is left out of the work, and its positions of the output are 0.
  /// @param skip     whether layer i is left out of this step
  /// @param finish   what is done to the sequence after the last of all layers
  void run_layers(at::Tensor x, const EncodeOptions& options,
                  const std::function<bool(std::int64_t)>& skip,
                  const std::function<at::Tensor(const at::Tensor&)>& finish,
                  EncoderOutput& output);
  /// How many layers to compute. @throws ConfigError if the model has fewer
  std::int64_t layers_to_run(const EncodeOptions& options) const;

  PretrainedConfig config_;
  std::vector<std::shared_ptr<nn::TransformerLayer>> layers_;
  bool checkpointing_ = false;
};

std::shared_ptr<EncoderNetwork> make_encoder_network(const PretrainedConfig& config);

}  // namespace polyphony::models
