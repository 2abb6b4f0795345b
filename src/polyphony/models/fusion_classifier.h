#pragma once

#include <memory>
#include <string>
#include <vector>

#include <torch/nn/modules/linear.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/models/model.h>
#include <polyphony/models/multi_modal_transformer.h>

namespace polyphony::models {

struct FusionClassifierOptions {
  config::Child<Encoder> audio;
  config::Child<Encoder> text;
  MultiModalTransformerOptions fusion;
  int num_labels = 0;
  double dropout = 0.1;
  int max_audio_positions = 64;  ///< longer audio is averaged down to this many
  int text_max_length = 64;      ///< longer text is truncated, for the fusion only
  bool pooled_residual = true;   ///< add a linear reading of both pooled vectors to the logits

  void describe(config::Fields& f);
};

/// Two encoders and a multimodal transformer over their sequences. Submodules: "audio", "text",
/// "fusion" and, with the residual, "residual".
class FusionClassifier : public Model {
 public:
  using Options = FusionClassifierOptions;
  explicit FusionClassifier(Options options);

  at::Tensor forward(const data::Batch& batch) override;
  std::vector<std::string> inputs() const override;

 private:
  Options options_;
  std::shared_ptr<Encoder> audio_;
  std::shared_ptr<Encoder> text_;
  std::shared_ptr<MultiModalTransformer> fusion_;
  torch::nn::Linear residual_{nullptr};
};

}  // namespace polyphony::models
