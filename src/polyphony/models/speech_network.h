#pragma once

#include <cstdint>
#include <memory>

#include <polyphony/models/encoder_network.h>
#include <polyphony/nn/numpy_random.h>
#include <polyphony/nn/positional_conv.h>

namespace polyphony::models {

/// HuBERT (Hsu et al., 2021) and wav2vec 2.0 (Baevski et al., 2020), base and large.
class SpeechNetwork : public EncoderNetwork {
 public:
  explicit SpeechNetwork(const PretrainedConfig& config);

  EncoderOutput encode(const EncoderInput& input, const EncodeOptions& options) override;
  /// Stops the training of the convolutions, as freeze_feature_encoder of Transformers.
  void freeze_feature_encoder();

  /// Which frames are real: bool [batch, frames], true up to each row's last.
  /// @param attention_mask  [batch, samples], not 0 where real
  at::Tensor frame_mask(const at::Tensor& attention_mask, std::int64_t frames) const;

 private:
  at::Tensor project(const at::Tensor& features) const;
  at::Tensor spec_augment(const at::Tensor& x, const at::Tensor& mask,
                          nn::NumpyRandom& random) const;

  std::shared_ptr<nn::ConvFeatures> features_;
  std::shared_ptr<nn::LayerNorm> projection_norm_;  ///< null: none
  std::shared_ptr<nn::Linear> projection_;
  std::shared_ptr<nn::PositionalConv> positions_;
  std::shared_ptr<nn::LayerNorm> norm_;
  at::Tensor masked_spec_embed_;  ///< float [dims]; undefined if no mask is configured
};

}  // namespace polyphony::models
