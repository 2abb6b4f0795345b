#include <polyphony/models/speech_network.h>

#include <vector>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/nn/mask_indices.h>

namespace polyphony::models {
namespace {

/// Trims the padding that no row needs. A norm over time (base models) sees the padding, and a row
/// without a frame counts it, so those stay.
EncoderInput trimmed(const EncoderInput& input, const nn::ConvFeaturesOptions& conv) {
  const at::Tensor lengths = input.attention_mask.ne(0).sum(1);
  const std::int64_t longest = lengths.max().item<std::int64_t>();
  const std::int64_t shortest = lengths.min().item<std::int64_t>();
  if (conv.norm == nn::FeatureNorm::kGroup || nn::conv_frames(conv, shortest) < 1) return input;
  return {input.values.narrow(1, 0, longest), input.attention_mask.narrow(1, 0, longest), {}};
}

void check(const EncoderInput& input) {
  if (input.values.dim() != 2 || !input.values.is_floating_point() || input.values.size(0) == 0) {
    throw DataError(
        fmt::format("a speech encoder wants float samples [batch, samples], but gets {} [{}]",
                    at::toString(input.values.scalar_type()), fmt::join(input.values.sizes(), ",")),
        "give it the dataset's input_values");
  }
  if (input.attention_mask.defined() && input.attention_mask.sizes() != input.values.sizes()) {
    throw DataError(fmt::format("attention_mask [{}] does not fit input_values [{}]",
                                fmt::join(input.attention_mask.sizes(), ","),
                                fmt::join(input.values.sizes(), ",")),
                    "give one number of the mask for each sample");
  }
}

/// The draws of a step: a function of the run's generator, which checkpoints keep.
nn::NumpyRandom step_random(bool training) {
  constexpr std::int64_t kSeeds = std::int64_t{1} << 32;
  if (!training) return nn::NumpyRandom(0);
  return nn::NumpyRandom(
      static_cast<std::uint32_t>(torch::randint(kSeeds, {1}, torch::kLong).item<std::int64_t>()));
}

}  // namespace

SpeechNetwork::SpeechNetwork(const PretrainedConfig& config) : EncoderNetwork(config) {
  const SpeechConfig& speech = config_.speech;
  const std::int64_t dims = config_.layer.dims;
  const std::int64_t features = speech.conv.layers.back().dims;
  if (speech.time_masks.prob > 0 || speech.feature_masks.prob > 0)
    masked_spec_embed_ = register_parameter("masked_spec_embed", torch::empty({dims}));
  features_ = register_module("feature_extractor", std::make_shared<nn::ConvFeatures>(speech.conv));
  if (config_.kind == EncoderKind::kWav2Vec2 || speech.feat_proj_layer_norm) {
    projection_norm_ =
        nn::register_at(*this, "feature_projection.layer_norm",
                        std::make_shared<nn::LayerNorm>(features, config_.layer.norm_eps));
  }
  projection_ = nn::register_at(*this, "feature_projection.projection",
                                std::make_shared<nn::Linear>(features, dims));
  nn::PositionalConvOptions positions;
  positions.dims = dims;
  positions.kernel = speech.num_conv_pos_embeddings;
  positions.groups = speech.num_conv_pos_embedding_groups;
  positions.activation = speech.conv.activation;
  positions_ = nn::register_at(*this, "encoder.pos_conv_embed",
                               std::make_shared<nn::PositionalConv>(positions));
  norm_ = nn::register_at(*this, "encoder.layer_norm",
                          std::make_shared<nn::LayerNorm>(dims, config_.layer.norm_eps));
  make_layers("layers");
}

void SpeechNetwork::freeze_feature_encoder() {
  for (at::Tensor& weight : features_->parameters()) weight.set_requires_grad(false);
}

at::Tensor SpeechNetwork::frame_mask(const at::Tensor& attention_mask, std::int64_t frames) const {
  const at::Tensor lengths = attention_mask.ne(0).sum(1).contiguous();
  const std::int64_t rows = attention_mask.size(0);
  at::Tensor counts = torch::empty({rows}, torch::kLong);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t samples = lengths.data_ptr<std::int64_t>()[i];
    std::int64_t count = nn::conv_frames(config_.speech.conv, samples);
    // Transformers marks the last frame by its index, which Python counts from the end if the
    // row is too short for a frame.
    if (count < 1) count += frames;
    if (count < 1) {
      throw DataError(
          fmt::format("row {} of the batch has {} real samples, too few for a frame", i, samples),
          "leave such recordings out");
    }
    counts.data_ptr<std::int64_t>()[i] = count;
  }
  return torch::arange(frames, torch::kLong).unsqueeze(0).lt(counts.unsqueeze(1));
}

at::Tensor SpeechNetwork::project(const at::Tensor& features) const {
  const at::Tensor normal =
      projection_norm_ == nullptr ? features : projection_norm_->forward(features);
  return at::dropout(projection_->forward(normal), config_.speech.feat_proj_dropout, is_training());
}

at::Tensor SpeechNetwork::spec_augment(const at::Tensor& x, const at::Tensor& mask,
                                       nn::NumpyRandom& random) const {
  const SpeechConfig& speech = config_.speech;
  if (!is_training() || !speech.apply_spec_augment) return x;
  const auto rows = static_cast<std::size_t>(x.size(0));
  at::Tensor masked = x;
  if (speech.time_masks.prob > 0) {
    std::vector<std::int64_t> lengths(rows, x.size(1));
    // HuBERT of Transformers 4.27.1 does not hand its mask on: spans may lie in the padding.
    if (mask.defined() && config_.kind == EncoderKind::kWav2Vec2) {
      const at::Tensor counts = mask.sum(1).contiguous();
      lengths.assign(counts.data_ptr<std::int64_t>(), counts.data_ptr<std::int64_t>() + rows);
    }
    const at::Tensor frames = nn::mask_indices(lengths, x.size(1), speech.time_masks, random);
    masked = at::where(frames.unsqueeze(2), masked_spec_embed_, masked);
  }
  if (speech.feature_masks.prob > 0) {
    const std::vector<std::int64_t> widths(rows, x.size(2));
    const at::Tensor dims = nn::mask_indices(widths, x.size(2), speech.feature_masks, random);
    masked = masked.masked_fill(dims.unsqueeze(1), 0.0);
  }
  return masked;
}

EncoderOutput SpeechNetwork::encode(const EncoderInput& given, const EncodeOptions& options) {
  check(given);
  const bool trim = options.padding == Padding::kTrim && given.attention_mask.defined();
  const EncoderInput input = trim ? trimmed(given, config_.speech.conv) : given;
  const at::Tensor features = features_->forward(input.values, options.type);
  EncoderOutput output;
  if (input.attention_mask.defined())
    output.mask = frame_mask(input.attention_mask, features.size(1));
  nn::NumpyRandom random = step_random(is_training());
  at::Tensor x = spec_augment(project(features), output.mask, random);
  if (output.mask.defined()) x = x.masked_fill(output.mask.logical_not().unsqueeze(2), 0.0);
  x = x + positions_->forward(x);
  const bool norm_first = config_.layer.norm == nn::NormPlace::kAfter;
  if (norm_first) x = norm_->forward(x);
  x = at::dropout(x, config_.layer.hidden_dropout, is_training());
  const auto skip = [&](std::int64_t) {
    return is_training() && random.uniform() < config_.speech.layerdrop;
  };
  const auto finish = [&](const at::Tensor& last) {
    return norm_first ? last : norm_->forward(last);
  };
  run_layers(x, options, skip, finish, output);
  return output;
}

}  // namespace polyphony::models
