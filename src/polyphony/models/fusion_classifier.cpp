#include <polyphony/models/fusion_classifier.h>

#include <algorithm>
#include <utility>

#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <polyphony/config/bind/registry.h>

namespace polyphony::models {
namespace {

/// A sequence truncated to what the fusion takes, and its padding.
struct Limited {
  at::Tensor sequence;  // float [batch, positions, dims]
  at::Tensor padding;   // bool [batch, positions], true where padding
};

at::Tensor padding_of(const at::Tensor& lengths, std::int64_t positions) {
  return torch::arange(positions, torch::kLong).unsqueeze(0).ge(lengths.unsqueeze(1));
}

/// Averages each sequence longer than `most` down to `most` positions.
Limited average_down(const Encoded& encoded, std::int64_t most) {
  const std::int64_t positions = encoded.sequence.size(1);
  if (positions <= most) return {encoded.sequence, padding_of(encoded.lengths, positions)};
  const at::Tensor lengths = encoded.lengths.clamp_max(positions);
  const at::Tensor spread =
      lengths.clamp_min(most).unsqueeze(1);  // positions that share `most` bins
  const at::Tensor place = torch::arange(positions, torch::kLong).unsqueeze(0);
  const at::Tensor bin = torch::floor_divide(place * most, spread);
  const at::Tensor bins = torch::arange(most, torch::kLong).view({1, most, 1});
  const at::Tensor inside = place.lt(lengths.unsqueeze(1)).unsqueeze(1);
  const at::Tensor share =
      bin.unsqueeze(1).eq(bins).logical_and(inside).to(encoded.sequence.dtype());
  const at::Tensor weights = share / share.sum(2, /*keepdim=*/true).clamp_min(1.0);
  return {at::bmm(weights, encoded.sequence), padding_of(lengths.clamp_max(most), most)};
}

Limited truncate(const Encoded& encoded, std::int64_t most) {
  const std::int64_t positions = std::min(encoded.sequence.size(1), most);
  return {encoded.sequence.narrow(1, 0, positions), padding_of(encoded.lengths, positions)};
}

}  // namespace

void FusionClassifierOptions::describe(config::Fields& f) {
  f.required("audio", audio, "what embeds the speech");
  f.required("text", text, "what embeds the text");
  f("fusion", fusion, "the multimodal transformer");
  f.required("num_labels", num_labels, "number of classes");
  f.check("num_labels", num_labels >= 2, "at least 2");
  f("dropout", dropout, "dropout on the pooled vectors of the residual");
  f.check("dropout", dropout >= 0 && dropout < 1, "in [0, 1)");
  f("max_audio_positions", max_audio_positions, "longer speech is averaged down to this many");
  f.check("max_audio_positions", max_audio_positions >= 1, "at least 1");
  f("text_max_length", text_max_length, "positions of text that the fusion sees");
  f.check("text_max_length", text_max_length >= 1, "at least 1");
  f("pooled_residual", pooled_residual,
    "add a linear reading of both pooled vectors to the logits");
}

FusionClassifier::FusionClassifier(Options options) : options_(std::move(options)) {
  audio_ = register_module("audio",
                           std::shared_ptr<Encoder>(config::build(options_.audio, "model.audio")));
  text_ =
      register_module("text", std::shared_ptr<Encoder>(config::build(options_.text, "model.text")));
  MultiModalTransformerOptions fusion = options_.fusion;
  fusion.audio_dims = static_cast<int>(audio_->dims());
  fusion.text_dims = static_cast<int>(text_->dims());
  fusion.num_labels = options_.num_labels;
  fusion_ = register_module("fusion", std::make_shared<MultiModalTransformer>(fusion));
  if (options_.pooled_residual) {
    residual_ = register_module(
        "residual", torch::nn::Linear(audio_->dims() + text_->dims(), options_.num_labels));
  }
}

std::vector<std::string> FusionClassifier::inputs() const {
  std::vector<std::string> names = audio_->inputs();
  for (const std::string& name : text_->inputs()) names.push_back(name);
  return names;
}

at::Tensor FusionClassifier::forward(const data::Batch& batch) {
  const Encoded audio = audio_->encode(batch);
  const Encoded text = text_->encode(batch);
  const Limited frames = average_down(audio, options_.max_audio_positions);
  const Limited tokens = truncate(text, options_.text_max_length);
  at::Tensor logits =
      fusion_->forward(frames.sequence, frames.padding, tokens.sequence, tokens.padding);
  if (!residual_) return logits;
  const at::Tensor pooled = torch::cat({audio.pooled, text.pooled}, 1);
  return logits + residual_->forward(torch::dropout(pooled, options_.dropout, is_training()));
}

POLYPHONY_REGISTER(Model, FusionClassifier, "polyphony.models.FusionClassifier",
                   "speech and text to classes: two encoders and a multimodal transformer")

}  // namespace polyphony::models
