#pragma once

#include <cstdint>

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/nn/cross_modal_transformer.h>

namespace polyphony::models {

struct MultiModalTransformerOptions {
  int model_dims = 64;
  int num_heads = 4;
  int num_layers = 2;
  double attn_dropout = 0.1;
  double relu_dropout = 0.1;
  double res_dropout = 0.1;
  double emb_dropout = 0.1;
  double out_dropout = 0.1;
  bool attn_mask = false;
  nn::PositionForm positions = nn::PositionForm::kRotary;
  bool scale_embedding = true;
  int audio_dims = 0;  ///< set by the owner
  int text_dims = 0;   ///< set by the owner
  int num_labels = 0;  ///< set by the owner

  /// The options that a YAML file may give; the last three are the owner's to set.
  void describe(config::Fields& f);
};

/// Speech attends to text and text to speech, then each to itself; the first positions are
/// classified. Parameters: audio_encoder, text_encoder, audio_text, text_audio, audio_self,
/// text_self, fc1, fc2, out_layer, as in the published Python weights.
class MultiModalTransformer : public torch::nn::Module {
 public:
  explicit MultiModalTransformer(const MultiModalTransformerOptions& options);

  /// @param audio  float [batch, frames, audio_dims]; text: float [batch, tokens, text_dims]
  /// @param audio_mask  bool [batch, frames], true where padding; undefined: none. text_mask alike.
  /// @return logits, float [batch, num_labels]
  at::Tensor forward(const at::Tensor& audio, const at::Tensor& audio_mask, const at::Tensor& text,
                     const at::Tensor& text_mask);

 private:
  double out_dropout_;
  torch::nn::Conv1d audio_encoder_{nullptr};
  torch::nn::Conv1d text_encoder_{nullptr};
  std::shared_ptr<nn::CrossModalTransformer> audio_text_;
  std::shared_ptr<nn::CrossModalTransformer> text_audio_;
  std::shared_ptr<nn::CrossModalTransformer> audio_self_;
  std::shared_ptr<nn::CrossModalTransformer> text_self_;
  torch::nn::Linear fc1_{nullptr};
  torch::nn::Linear fc2_{nullptr};
  torch::nn::Linear out_layer_{nullptr};
};

}  // namespace polyphony::models

template <>
struct polyphony::config::EnumNames<polyphony::nn::PositionForm> {
  static constexpr std::pair<const char*, polyphony::nn::PositionForm> kTable[] = {
      {"sinusoidal", polyphony::nn::PositionForm::kSinusoidal},
      {"rotary", polyphony::nn::PositionForm::kRotary}};
};
