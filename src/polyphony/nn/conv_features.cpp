#include <polyphony/nn/conv_features.h>

#include <fmt/format.h>
#include <torch/nn.h>

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

at::Tensor ConvFeatures::run(const Layer& layer, const ConvLayer& shape,
                             const at::Tensor& x) const {
  at::Tensor y = at::conv1d(x, layer.weight, layer.bias, shape.stride);
  if (layer.group != nullptr) {
    y = at::group_norm(y, shape.dims, layer.group->weight, layer.group->bias, kNormEps);
  } else if (layer.norm != nullptr) {
    y = layer.norm->forward(y.transpose(1, 2)).transpose(1, 2);
  }
  return activate(y, options_.activation);
}

at::Tensor ConvFeatures::forward(const at::Tensor& samples) {
  const std::int64_t count = samples.size(1);
  if (conv_frames(options_, count) < 1) {
    throw DataError(fmt::format("audio of {} samples is too short for the convolutions", count),
                    "leave such recordings out, or pad them to at least 400 samples (25 ms)");
  }
  at::Tensor x = samples.unsqueeze(1);
  for (std::size_t i = 0; i < layers_.size(); ++i) x = run(layers_[i], options_.layers[i], x);
  return x.transpose(1, 2);
}

}  // namespace polyphony::nn
