#include <polyphony/models/embedding_fusion.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>

namespace polyphony::models {
namespace {

void describe_rates(config::Fields& f, MultiModalTransformerOptions& network) {
  const auto rate = [&](const char* name, double& value, const char* doc) {
    f(name, value, doc);
    f.check(name, value >= 0 && value < 1, "in [0, 1)");
  };
  rate("attn_dropout", network.attn_dropout, "dropout on attention weights");
  rate("relu_dropout", network.relu_dropout, "dropout inside the feed-forward block");
  rate("res_dropout", network.res_dropout, "dropout on residual branches");
  rate("emb_dropout", network.emb_dropout, "dropout on embedded positions");
  rate("out_dropout", network.out_dropout, "dropout before the output layer");
  f("attn_mask", network.attn_mask, "let no position attend to a later one");
}

/// Names of the options, which changed after January 2024.
struct Names {
  const char* width;
  const char* heads;
  const char* layers;
  const char* audio;
  const char* text;
  const char* labels;
};
constexpr Names kToday = {"model_dims", "num_heads", "num_layers",
                          "audio_dims", "text_dims", "num_labels"};
constexpr Names kJan2024 = {"d_model", "n_heads", "n_layers", "d_audio", "d_text", "n_classes"};

void describe_sizes(config::Fields& f, const Names& names, MultiModalTransformerOptions& network) {
  f(names.heads, network.num_heads, "attention heads");
  f.check(names.heads, network.num_heads >= 1, "at least 1");
  f.required(names.width, network.model_dims, "width inside the fusion");
  f.check(names.width, network.model_dims >= 1 && network.model_dims % network.num_heads == 0,
          "a multiple of the number of heads");
  f(names.layers, network.num_layers, "layers in each of the four networks");
  f.check(names.layers, network.num_layers >= 1, "at least 1");
  f.required(names.audio, network.audio_dims, "width of the audio embeddings");
  f.check(names.audio, network.audio_dims >= 1, "at least 1");
  f.required(names.text, network.text_dims, "width of the text embeddings");
  f.check(names.text, network.text_dims >= 1, "at least 1");
  f.required(names.labels, network.num_labels, "number of classes");
  f.check(names.labels, network.num_labels >= 2, "at least 2");
}

/// The positions of one modality that are not to be looked at, bool [batch, positions].
at::Tensor padding(const data::Batch& batch, const std::string& modality, std::int64_t positions,
                   bool mask_last) {
  if (batch.has(modality + "_mask")) return batch.at(modality + "_mask");
  const at::Tensor& lengths = input(batch, modality + "_hidden_length");
  const at::Tensor valid = mask_last ? lengths.sub(1) : lengths;
  return torch::arange(positions, torch::kLong).unsqueeze(0).ge(valid.unsqueeze(1));
}

void check_width(const at::Tensor& hidden, int want, const char* name, const char* option) {
  if (hidden.dim() == 3 && hidden.size(2) == want) return;
  throw DataError(fmt::format("{}: embeddings of shape [{}] where [batch, positions, {}] is wanted",
                              name, fmt::join(hidden.sizes(), ", "), want),
                  fmt::format("set {} to the width of the encoder's hidden states", option));
}

}  // namespace

void EmbeddingFusionOptions::describe(config::Fields& f) {
  describe_sizes(f, kToday, network);
  describe_rates(f, network);
  f("scale_embedding", network.scale_embedding,
    "multiply embeddings by the root of their width; see always_scale");
  f("always_scale", always_scale, "quirk of the original: scale_embedding is on whatever it says");
  f("text_max_length", text_max_length, "most positions, of audio too");
  f.check("text_max_length", text_max_length >= 1, "at least 1");
  f("mask_last_position", mask_last_position,
    "quirk of the original: the last valid position is masked like padding");
  f("positions", network.positions, "how positions enter");
}

void EmbeddingFusionJan2024Options::describe(config::Fields& f) {
  network.positions = nn::PositionForm::kSinusoidal;
  describe_sizes(f, kJan2024, network);
  describe_rates(f, network);
  f("scale_embedding", network.scale_embedding,
    "multiply embeddings by the root of their width; see always_scale");
  f("always_scale", always_scale, "quirk of the original: scale_embedding is on whatever it says");
  f("mask_last_position", mask_last_position,
    "quirk of the original: the last valid position is masked like padding");
}

EmbeddingFusion::EmbeddingFusion(const Options& options) : options_(options) {
  MultiModalTransformerOptions network = options.network;
  network.scale_embedding = network.scale_embedding || options.always_scale;
  network_ = std::make_shared<MultiModalTransformer>(network);
  for (const auto& child : network_->named_children()) register_module(child.key(), child.value());
}

void EmbeddingFusion::train(bool on) {
  network_->train(on);
  Model::train(on);
}

at::Tensor EmbeddingFusion::forward(const data::Batch& batch) {
  const at::Tensor& audio = input(batch, "audio_hidden");
  const at::Tensor& text = input(batch, "text_hidden");
  check_width(audio, options_.network.audio_dims, "audio_hidden", "model.audio_dims");
  check_width(text, options_.network.text_dims, "text_hidden", "model.text_dims");
  const bool last = options_.mask_last_position;
  return network_->forward(audio, padding(batch, "audio", audio.size(1), last), text,
                           padding(batch, "text", text.size(1), last));
}

POLYPHONY_REGISTER(Model, EmbeddingFusion, "polyphony.models.MultiModalTransformer",
                   "embeddings of speech and text to classes: the original's fusion model")
POLYPHONY_REGISTER(Model, EmbeddingFusionJan2024, "polyphony.models.MultiModalTransformerJan2024",
                   "the original's fusion model as of January 2024: sinusoidal positions")

}  // namespace polyphony::models
