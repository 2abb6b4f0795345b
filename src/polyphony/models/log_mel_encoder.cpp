#include <polyphony/models/log_mel_encoder.h>

#include <algorithm>

#include <fmt/format.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>

namespace polyphony::models {
namespace {

constexpr int kConvolutions = 3;  // of stride 2 each
constexpr int kKernel = 6;        // frames
constexpr double kVarianceFloor = 1e-6;
constexpr double kMasked = -1e4;   // a score whose softmax is 0
constexpr double kMomentum = 0.1;  // of running statistics

struct Moments {
  at::Tensor mean;       // float [batch, features]
  at::Tensor deviation;  // float [batch, features]
};

/// float [batch, positions, 1], 1 where real.
at::Tensor real_positions(const at::Tensor& lengths, std::int64_t positions) {
  const at::Tensor place = torch::arange(positions, torch::kLong).unsqueeze(0);
  return place.lt(lengths.unsqueeze(1)).unsqueeze(2).to(torch::kFloat);
}

/// Moments over positions. @param weights  [batch, positions, 1 or features], sums to 1 or to 0
Moments weighted_moments(const at::Tensor& x, const at::Tensor& weights) {
  const at::Tensor mean = (x * weights).sum(1);
  const at::Tensor variance = ((x - mean.unsqueeze(1)).square() * weights).sum(1);
  return {mean, variance.clamp_min(kVarianceFloor).sqrt()};
}

at::Tensor even_weights(const at::Tensor& real) {
  return real / real.sum(1, /*keepdim=*/true).clamp_min(1.0);
}

/// Marks `masks` spans of 0 to `width` places of `size`, drawn from LibTorch's own generator.
/// @param extent  float [batch], real places; @return bool [batch, size], true where masked
at::Tensor random_spans(const at::Tensor& extent, std::int64_t size, int masks, int width) {
  const at::Tensor place = torch::arange(size, torch::kFloat).unsqueeze(0);
  at::Tensor masked = torch::zeros({extent.size(0), size}, torch::kBool);
  for (int i = 0; i < masks; ++i) {
    const at::Tensor span = (torch::rand_like(extent) * (width + 1)).floor().minimum(extent);
    const at::Tensor start = (torch::rand_like(extent) * (extent - span + 1)).floor();
    const at::Tensor inside =
        place.ge(start.unsqueeze(1)).logical_and(place.lt((start + span).unsqueeze(1)));
    masked = masked.logical_or(inside);
  }
  return masked;
}

/// @param fill  float [batch, mels], what masked values become
at::Tensor augment(const at::Tensor& x, const at::Tensor& lengths, const at::Tensor& fill,
                   const SpecAugmentOptions& options) {
  const at::Tensor frames = lengths.to(torch::kFloat);
  const at::Tensor mels = torch::full_like(frames, static_cast<double>(x.size(2)));
  const at::Tensor time = random_spans(frames, x.size(1), options.time_masks, options.time_width);
  const at::Tensor band = random_spans(mels, x.size(2), options.mel_masks, options.mel_width);
  const at::Tensor masked = time.unsqueeze(2).logical_or(band.unsqueeze(1));
  return torch::where(masked, fill.unsqueeze(1), x);
}

/// Six neighbouring frames at every second frame.
/// @param x  [batch, 2 n, dims] @return [batch, n, 6 dims]
at::Tensor neighbours(const at::Tensor& x) {
  const std::int64_t half = x.size(1) / 2;
  const at::Tensor pairs =
      torch::constant_pad_nd(x.reshape({x.size(0), half, 2 * x.size(2)}), {0, 0, 1, 1});
  return torch::cat({pairs.narrow(1, 0, half), pairs.narrow(1, 1, half), pairs.narrow(1, 2, half)},
                    2);
}

}  // namespace

void SpecAugmentOptions::describe(config::Fields& f) {
  f("time_masks", time_masks, "masks over time in an utterance; 0: none");
  f.check("time_masks", time_masks >= 0, "at least 0");
  f("time_width", time_width, "longest mask over time, frames");
  f.check("time_width", time_width >= 0, "at least 0");
  f("mel_masks", mel_masks, "masks over mels in an utterance; 0: none");
  f.check("mel_masks", mel_masks >= 0, "at least 0");
  f("mel_width", mel_width, "widest mask over mels");
  f.check("mel_width", mel_width >= 0, "at least 0");
}

void LogMelEncoderOptions::describe(config::Fields& f) {
  f("mels", mels, "width of a log-mel frame");
  f.check("mels", mels >= 1, "at least 1");
  f("dims", dims, "width of a frame embedding and of the pooled vector");
  f.check("dims", dims >= 1, "at least 1");
  f("channels", channels, "width of the convolutions but the last");
  f.check("channels", channels >= 1, "at least 1");
  f("normalize", normalize, "mean 0, deviation 1 an utterance and mel, for the convolutions only");
  f("dropout", dropout, "dropout on the pooled statistics");
  f.check("dropout", dropout >= 0 && dropout < 1, "in [0, 1)");
  f("spec_augment", spec_augment, "masks over time and mels in training");
}

LogMelEncoder::LogMelEncoder(Options options) : options_(options) {
  convs_ = register_module("convs", torch::nn::ModuleList());
  norms_ = register_module("norms", torch::nn::ModuleList());
  std::int64_t width = options_.mels;
  for (int i = 0; i < kConvolutions; ++i) {
    const std::int64_t out = i + 1 < kConvolutions ? options_.channels : options_.dims;
    convs_->push_back(torch::nn::Linear(kKernel * width, out));
    norms_->push_back(torch::nn::LayerNorm(torch::nn::LayerNormOptions({out})));
    width = out;
  }
  attention_ = register_module(
      "attention", torch::nn::Linear(torch::nn::LinearOptions(width, width).bias(false)));
  const std::int64_t statistics = 3 * std::int64_t{options_.mels} + 4 * width;
  running_mean_ = register_buffer("running_mean", torch::zeros({statistics}));
  running_var_ = register_buffer("running_var", torch::ones({statistics}));
  pooled_linear_ = register_module("pooled_linear", torch::nn::Linear(statistics, options_.dims));
  pooled_gelu_ = register_module("pooled_gelu", torch::nn::Linear(statistics, options_.dims));
}

/// Brings statistics of different units to one scale, by the batch's moments in training (by the
/// running ones for a batch of one, which has no deviation).
at::Tensor LogMelEncoder::standardize(const at::Tensor& statistics) {
  const bool from_batch = is_training() && statistics.size(0) > 1;
  return torch::batch_norm(statistics, {}, {}, running_mean_, running_var_, from_batch, kMomentum,
                           /*eps=*/1e-5, /*cudnn_enabled=*/false);
}

/// In float32 at any precision of the run: it is small, and its statistics need the digits.
Encoded LogMelEncoder::encode(const data::Batch& batch) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
  at::Tensor mels = input(batch, "log_mel");
  at::Tensor lengths = input(batch, "log_mel_length");
  if (mels.dim() != 3 || mels.size(2) != options_.mels) {
    throw DataError(fmt::format("'log_mel' is [{}], but the encoder wants [batch, frames, {}]",
                                fmt::join(mels.sizes(), ", "), options_.mels),
                    "set the encoder's mels to the dataset's log_mel.mels");
  }
  constexpr std::int64_t kStride = 1 << kConvolutions;
  const std::int64_t frames = std::max<std::int64_t>(1, (mels.size(1) + kStride - 1) / kStride);
  at::Tensor real = real_positions(lengths, frames * kStride);
  mels = torch::constant_pad_nd(mels, {0, 0, 0, frames * kStride - mels.size(1)}) * real;

  const Moments raw = weighted_moments(mels, even_weights(real));
  const at::Tensor change = (mels.slice(1, 1) - mels.slice(1, 0, -1));
  const Moments delta = weighted_moments(change, even_weights(real.slice(1, 1)));

  at::Tensor x = mels;
  if (options_.normalize) {
    x = (x - raw.mean.unsqueeze(1)) / (raw.deviation.unsqueeze(1) + 1e-3);
  }
  if (is_training()) {
    const at::Tensor fill = options_.normalize ? torch::zeros_like(raw.mean) : raw.mean;
    x = augment(x, lengths, fill, options_.spec_augment);
  }
  for (std::size_t i = 0; i < kConvolutions; ++i) {
    const at::Tensor near = neighbours(x * real);
    lengths = torch::floor_divide(lengths + 1, 2);
    real = real_positions(lengths, near.size(1));
    x = torch::gelu(convs_->ptr<torch::nn::LinearImpl>(i)->forward(near));
    x = norms_->ptr<torch::nn::LayerNormImpl>(i)->forward(x);
  }
  x = x * real;

  const at::Tensor scores = attention_->forward(x).masked_fill(real.eq(0), kMasked);
  const Moments attended = weighted_moments(x, torch::softmax(scores, 1) * real);
  const Moments plain = weighted_moments(x, even_weights(real));
  const at::Tensor statistics = torch::dropout(
      standardize(torch::cat({raw.mean, raw.deviation, delta.deviation, attended.mean,
                              attended.deviation, plain.mean, plain.deviation},
                             1)),
      options_.dropout, is_training());
  const at::Tensor pooled =
      pooled_linear_->forward(statistics) + torch::gelu(pooled_gelu_->forward(statistics));
  return {x, lengths, pooled};
}

POLYPHONY_REGISTER(Encoder, LogMelEncoder, "polyphony.models.LogMelEncoder",
                   "speech: strided convolutions over log-mel frames, pooled by their statistics")

}  // namespace polyphony::models
