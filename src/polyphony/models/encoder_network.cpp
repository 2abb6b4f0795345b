#include <polyphony/models/encoder_network.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/models/speech_network.h>
#include <polyphony/models/text_network.h>
#include <polyphony/nn/checkpoint.h>

namespace polyphony::models {

namespace {

/// Whether real positions alone are worked on; for no layer and no padding that is not worth it.
bool packs(const at::Tensor& x, const at::Tensor& mask, Padding padding, std::int64_t layers) {
  if (x.scalar_type() != at::kFloat) return false;
  return mask.defined() ? padding == Padding::kTrim : layers > 0;
}

}  // namespace

EncoderNetwork::EncoderNetwork(const PretrainedConfig& config) : config_(config) {}

void EncoderNetwork::make_layers(const std::string& name) {
  for (std::int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    layers_.push_back(nn::register_at(*this, fmt::format("encoder.{}.{}", name, i),
                                      std::make_shared<nn::TransformerLayer>(config_.layer)));
  }
}

std::int64_t EncoderNetwork::layers_to_run(const EncodeOptions& options) const {
  const std::int64_t all = config_.num_hidden_layers;
  if (options.last_layer < -1 || options.last_layer > all) {
    throw ConfigError(
        fmt::format("layer {} is wanted of an encoder with {} layers", options.last_layer, all),
        fmt::format("choose 0 (what enters the first layer) to {}, or -1", all));
  }
  return options.last_layer == -1 ? all : options.last_layer;
}

void EncoderNetwork::run_layers(at::Tensor x, const EncodeOptions& options,
                                const std::function<bool(std::int64_t)>& skip,
                                const std::function<at::Tensor(const at::Tensor&)>& finish,
                                EncoderOutput& output) {
  const std::int64_t wanted = layers_to_run(options);
  nn::AttentionMask mask;
  if (packs(x, output.mask, options.padding, wanted)) {
    const at::Tensor padding = output.mask.defined() ? output.mask.logical_not() : at::Tensor();
    mask.layout = nn::pack(padding, x.size(0), x.size(1));
    x = nn::gather_rows(x, mask.layout);
  } else {
    mask.bias = nn::attention_bias(output.mask);
  }
  const auto spread = [&mask](const at::Tensor& rows) {
    return mask.layout == nullptr ? rows : nn::spread_rows(rows, mask.layout);
  };
  for (std::int64_t i = 0; i < wanted; ++i) {
    if (options.hidden_states) output.hidden_states.push_back(spread(x));
    if (skip(i)) continue;
    nn::TransformerLayer& layer = *layers_[static_cast<std::size_t>(i)];
    const auto run = [&layer, mask, type = options.type](const at::Tensor& in) {
      return layer.forward(in, mask, type);
    };
    x = checkpointing_ && is_training() ? nn::checkpoint(run, x) : run(x);
  }
  if (wanted == config_.num_hidden_layers) x = finish(x);
  output.sequence = spread(x);
  if (options.hidden_states) output.hidden_states.push_back(output.sequence);
}

void EncoderNetwork::freeze_layers(std::int64_t layers) {
  const std::int64_t all = config_.num_hidden_layers;
  if (layers < 0 || layers > all) {
    throw ConfigError(fmt::format("{} layers are to be frozen of an encoder with {}", layers, all),
                      fmt::format("choose 0 to {}", all));
  }
  for (auto& item : named_parameters()) item.value().set_requires_grad(false);
  for (std::int64_t i = layers; i < all; ++i) {
    for (at::Tensor& weight : layers_[static_cast<std::size_t>(i)]->parameters())
      weight.set_requires_grad(true);
  }
  // The norm after the last layer is above all of them; that of a base model is below.
  if (config_.layer.norm != nn::NormPlace::kBefore) return;
  for (auto& item : named_parameters()) {
    if (item.key().starts_with("encoder.layer_norm.")) item.value().set_requires_grad(true);
  }
}

std::shared_ptr<EncoderNetwork> make_encoder_network(const PretrainedConfig& config) {
  if (is_speech(config.kind)) return std::make_shared<SpeechNetwork>(config);
  return std::make_shared<TextNetwork>(config);
}

}  // namespace polyphony::models
