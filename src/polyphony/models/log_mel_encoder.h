#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>

#include <polyphony/config/fields.h>
#include <polyphony/models/model.h>

namespace polyphony::models {

/// SpecAugment (Park et al., 2019): bands of time and frequency set to the utterance's mean, in
/// training.
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
  int channels = 96;       ///< width of the convolutions
  bool normalize = false;  ///< mean 0 and deviation 1 an utterance and mel, before the convolutions
  double dropout = 0.1;
  SpecAugmentOptions spec_augment;

  void describe(config::Fields& f);
};

/// Log-mel frames through three strided convolutions (stride 8), pooled by attentive statistics
/// (Okabe et al., 2018) beside the plain mean and deviation of the input mels and of the frames.
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
  at::Tensor convolve(at::Tensor x, at::Tensor& lengths);

  Options options_;
  torch::nn::ModuleList convs_;
  torch::nn::ModuleList norms_;
  torch::nn::Linear frame_out_{nullptr};
  torch::nn::Linear attention_{nullptr};
  torch::nn::Linear pooled_out_{nullptr};
};

}  // namespace polyphony::models
