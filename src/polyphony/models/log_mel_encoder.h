#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/models/model.h>

namespace polyphony::models {

/// SpecAugment (Park et al., 2019): in training, bands of time and frequency are set to the mean.
struct SpecAugmentOptions {
  int time_masks = 0;   ///< masks an utterance; 0: none
  int time_width = 20;  ///< longest mask, frames
  int mel_masks = 0;    ///< masks an utterance; 0: none
  int mel_width = 10;   ///< widest mask, mels

  void describe(config::Fields& f);
};

struct LogMelEncoderOptions {
  int mels = 80;
  int dims = 128;
  int channels = 96;      ///< width of the convolutions but the last, which has `dims`
  bool normalize = true;  ///< mean 0, deviation 1 an utterance and mel, for the convolutions only
  double dropout = 0.1;   ///< on the pooled statistics
  SpecAugmentOptions spec_augment;

  void describe(config::Fields& f);
};

/// Log-mel frames through three convolutions of stride 2, pooled by attentive statistics (Okabe et
/// al., 2018) beside the mean, deviation and frame-to-frame deviation of the mels as they came in.
///
/// Needs "log_mel" float [batch, frames, mels] and "log_mel_length" int64 [batch].
class LogMelEncoder : public Encoder {
 public:
  using Options = LogMelEncoderOptions;
  explicit LogMelEncoder(Options options);

  Encoded encode(const data::Batch& batch) override;
  std::int64_t dims() const override { return options_.dims; }
  std::vector<std::string> inputs() const override { return {"log_mel"}; }

 private:
  at::Tensor standardize(const at::Tensor& statistics);

  Options options_;
  torch::nn::ModuleList convs_;  // linear maps of 6 neighbouring frames
  torch::nn::ModuleList norms_;
  torch::nn::Linear attention_{nullptr};
  at::Tensor running_mean_;  // float [statistics]
  at::Tensor running_var_;
  torch::nn::Linear pooled_linear_{nullptr};
  torch::nn::Linear pooled_gelu_{nullptr};
};

}  // namespace polyphony::models
