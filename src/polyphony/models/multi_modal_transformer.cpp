#include <polyphony/models/multi_modal_transformer.h>

#include <memory>

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <polyphony/nn/dropout.h>
#include <polyphony/nn/product.h>
#include <polyphony/tensor/autocast.h>

namespace polyphony::models {
namespace {

torch::nn::Conv1d projection(std::int64_t from, std::int64_t to) {
  return torch::nn::Conv1d(torch::nn::Conv1dOptions(from, to, 3).padding(1));
}

/// bfloat16 if torch.autocast is on, for the products of many rows.
at::ScalarType product_type() { return tensor::autocast_enabled() ? at::kBFloat16 : at::kFloat; }

void describe_rate(config::Fields& f, const char* name, double& rate, const char* doc) {
  f(name, rate, doc);
  f.check(name, rate >= 0 && rate < 1, "in [0, 1)");
}

}  // namespace

void MultiModalTransformerOptions::describe(config::Fields& f) {
  f("num_heads", num_heads, "attention heads");
  f.check("num_heads", num_heads >= 1, "at least 1");
  f("positions", positions, "how positions enter: rotary, or sinusoidal as in January 2024");
  f("model_dims", model_dims, "width inside the fusion");
  f.check("model_dims", model_dims >= 1 && model_dims % num_heads == 0, "a multiple of num_heads");
  f.check("model_dims", positions != nn::PositionForm::kRotary || (model_dims / num_heads) % 2 == 0,
          "an even number for each head where positions is rotary");
  f("num_layers", num_layers, "layers in each of the four networks");
  f.check("num_layers", num_layers >= 1, "at least 1");
  describe_rate(f, "attn_dropout", attn_dropout, "dropout on attention weights");
  describe_rate(f, "relu_dropout", relu_dropout, "dropout inside the feed-forward block");
  describe_rate(f, "res_dropout", res_dropout, "dropout on residual branches");
  describe_rate(f, "emb_dropout", emb_dropout, "dropout on embedded positions");
  describe_rate(f, "out_dropout", out_dropout, "dropout before the output layer");
  f("attn_mask", attn_mask, "let no position attend to a later one");
  f("scale_embedding", scale_embedding, "multiply embeddings by the root of model_dims");
}

MultiModalTransformer::MultiModalTransformer(const MultiModalTransformerOptions& options)
    : out_dropout_(options.out_dropout) {
  nn::CrossModalTransformerOptions network;
  network.model_dims = options.model_dims;
  network.num_heads = options.num_heads;
  network.num_layers = options.num_layers;
  network.attn_dropout = options.attn_dropout;
  network.relu_dropout = options.relu_dropout;
  network.res_dropout = options.res_dropout;
  network.emb_dropout = options.emb_dropout;
  network.attn_mask = options.attn_mask;
  network.positions = options.positions;
  network.scale_embedding = options.scale_embedding;
  const auto make = [&](const char* name) {
    return register_module(name, std::make_shared<nn::CrossModalTransformer>(network));
  };
  const std::int64_t combined = 2 * std::int64_t{options.model_dims};
  audio_encoder_ =
      register_module("audio_encoder", projection(options.audio_dims, options.model_dims));
  text_encoder_ =
      register_module("text_encoder", projection(options.text_dims, options.model_dims));
  audio_text_ = make("audio_text");
  text_audio_ = make("text_audio");
  audio_self_ = make("audio_self");
  text_self_ = make("text_self");
  fc1_ = register_module("fc1", torch::nn::Linear(combined, combined));
  fc2_ = register_module("fc2", torch::nn::Linear(combined, combined));
  out_layer_ = register_module("out_layer", torch::nn::Linear(combined, options.num_labels));
}

at::Tensor MultiModalTransformer::forward(const at::Tensor& audio, const at::Tensor& audio_mask,
                                          const at::Tensor& text, const at::Tensor& text_mask) {
  // The functions of nn choose their types themselves.
  const at::ScalarType type = product_type();
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
  const auto encode = [&](torch::nn::Conv1d& encoder, const at::Tensor& x, const at::Tensor& mask) {
    const nn::Layout layout = nn::pack(mask, x.size(0), x.size(1));
    const at::Tensor windows = nn::gather_windows(x.to(torch::kFloat), layout).to(type);
    return nn::Rows{nn::linear(windows, encoder->weight.flatten(1), encoder->bias), layout};
  };
  nn::Rows a = encode(audio_encoder_, audio, audio_mask);
  nn::Rows t = encode(text_encoder_, text, text_mask);
  a.values = audio_text_->forward(a, t);
  t.values = text_audio_->forward(t, a);
  const at::Tensor first =
      torch::cat({audio_self_->forward_first(a), text_self_->forward_first(t)}, 1);
  const at::Tensor hidden = nn::relu_dropout(nn::linear(first, fc1_->weight, fc1_->bias),
                                             nn::DropoutMask::draw_if(is_training(), out_dropout_));
  const at::Tensor out = first + nn::linear(hidden, fc2_->weight, fc2_->bias);
  return nn::linear(out, out_layer_->weight, out_layer_->bias);
}

}  // namespace polyphony::models
