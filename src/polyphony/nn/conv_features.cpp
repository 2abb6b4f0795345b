#include <polyphony/nn/conv_features.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>

namespace polyphony::nn {
namespace {

constexpr double kNormEps = 1e-5;

std::vector<std::int64_t> collect(const std::vector<ConvLayer>& layers,
                                  std::int64_t ConvLayer::*member) {
  std::vector<std::int64_t> values;
  for (const ConvLayer& layer : layers) values.push_back(layer.*member);
  return values;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

}  // namespace

std::vector<std::int64_t> ConvFeaturesOptions::dims() const {
  return collect(layers, &ConvLayer::dims);
}
std::vector<std::int64_t> ConvFeaturesOptions::kernels() const {
  return collect(layers, &ConvLayer::kernel);
}
std::vector<std::int64_t> ConvFeaturesOptions::strides() const {
  return collect(layers, &ConvLayer::stride);
}

std::int64_t conv_frames(const ConvFeaturesOptions& options, std::int64_t samples) {
  for (const ConvLayer& layer : options.layers) {
    samples = floor_divide(samples - layer.kernel, layer.stride) + 1;
  }
  return samples;
}

ConvFeatures::ConvFeatures(const ConvFeaturesOptions& options) : options_(options) {
  std::int64_t inputs = 1;
  for (std::size_t i = 0; i < options.layers.size(); ++i) {
    const ConvLayer& shape = options.layers[i];
    torch::nn::Module& part = submodule(*this, fmt::format("conv_layers.{}", i));
    torch::nn::Module& conv = submodule(part, "conv");
    Layer layer;
    layer.weight =
        conv.register_parameter("weight", torch::empty({shape.dims, inputs, shape.kernel}));
    if (options.bias) layer.bias = conv.register_parameter("bias", torch::empty({shape.dims}));
    if (options.norm == FeatureNorm::kLayer) {
      layer.norm =
          part.register_module("layer_norm", std::make_shared<LayerNorm>(shape.dims, kNormEps));
    } else if (i == 0) {
      layer.group = part.register_module("layer_norm", std::make_shared<GroupNorm>(shape.dims));
    }
    layers_.push_back(layer);
    inputs = shape.dims;
  }
}

/// [batch, time, channels] -> [batch, frames, dims]
at::Tensor ConvFeatures::convolve(const Layer& layer, const StridedConvOptions& options,
                                  const at::Tensor& x) const {
  if (x.scalar_type() != at::kDouble) return strided_conv(x, layer.weight, layer.bias, options);
  return at::conv1d(x.transpose(1, 2), layer.weight, layer.bias, options.stride).transpose(1, 2);
}

/// @param x  [batch, frames, dims]
at::Tensor ConvFeatures::norm(const Layer& layer, const at::Tensor& x) const {
  if (layer.norm != nullptr) return layer.norm->forward(x);
  if (layer.group == nullptr) return x;
  const at::Tensor by_channel = x.transpose(1, 2).contiguous();
  return at::group_norm(by_channel, x.size(2), layer.group->weight, layer.group->bias, kNormEps)
      .transpose(1, 2)
      .contiguous();
}

at::Tensor ConvFeatures::forward(const at::Tensor& samples, at::ScalarType type) {
  const std::int64_t count = samples.size(1);
  if (conv_frames(options_, count) < 1) {
    throw DataError(fmt::format("audio of {} samples is too short for the convolutions", count),
                    "leave such recordings out, or pad them to at least 400 samples (25 ms)");
  }
  at::Tensor x = samples.unsqueeze(2);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const at::Tensor y = convolve(layers_[i], {options_.layers[i].stride, type}, x);
    x = activate(norm(layers_[i], y), options_.activation);
  }
  return x;
}

}  // namespace polyphony::nn
