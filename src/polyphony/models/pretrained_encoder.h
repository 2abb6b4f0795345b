#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <polyphony/models/encoder_network.h>
#include <polyphony/models/pretrained_weights.h>

namespace polyphony::models {

/// A frozen pretrained encoder, of speech or text, for hidden states alone.
class PretrainedEncoder {
 public:
  /// @param name  a folder in Hugging Face's layout, or a name of the hub
  /// @throws IoError; DataError naming file and key or weight
  explicit PretrainedEncoder(const std::string& name);

  /// Hidden states of one layer, without dropout and gradients; no layer above it is computed.
  /// @param layer  0 (what enters the first layer) to `layers()`, as hidden_states of Transformers
  /// @return float [batch, positions, dims], and which positions are real
  EncoderOutput encode(const EncoderInput& input, std::int64_t layer) const;

  bool is_speech() const { return models::is_speech(network_->config().kind); }
  std::int64_t dims() const { return network_->dims(); }
  std::int64_t layers() const { return network_->config().num_hidden_layers; }
  /// Frames of a speech encoder for so many samples; below 1 if they are too few.
  std::int64_t frames(std::int64_t samples) const;
  /// Weights by Transformers' names.
  tensor::TensorMap weights() const { return weights_of(*network_); }
  const PretrainedConfig& config() const { return network_->config(); }
  const std::filesystem::path& folder() const { return folder_; }
  const LoadReport& load_report() const { return report_; }

 private:
  std::filesystem::path folder_;
  std::shared_ptr<EncoderNetwork> network_;
  LoadReport report_;
};

}  // namespace polyphony::models
