#pragma once

#include <memory>

#include <polyphony/models/encoder_network.h>

namespace polyphony::models {

/// BERT (Devlin et al., 2019), RoBERTa (Liu et al., 2019) and XLM-R (Conneau et al., 2020).
class TextNetwork : public EncoderNetwork {
 public:
  explicit TextNetwork(const PretrainedConfig& config);

  EncoderOutput encode(const EncoderInput& input, const EncodeOptions& options) override;

 private:
  at::Tensor embed(const EncoderInput& input) const;
  at::Tensor positions_of(const at::Tensor& ids) const;

  std::shared_ptr<nn::Embedding> words_;
  std::shared_ptr<nn::Embedding> positions_;
  std::shared_ptr<nn::Embedding> types_;
  std::shared_ptr<nn::LayerNorm> norm_;
};

}  // namespace polyphony::models
