#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <polyphony/nn/layers.h>
#include <polyphony/nn/strided_conv.h>

namespace polyphony::nn {

enum class FeatureNorm {
  kGroup,  ///< the first convolution alone, each channel over time (base models)
  kLayer,  ///< every convolution, each frame over its channels (large models)
};

struct ConvLayer {
  std::int64_t dims = 512;  ///< channels that leave it
  std::int64_t kernel = 3;
  std::int64_t stride = 2;
};

struct ConvFeaturesOptions {
  std::vector<ConvLayer> layers = {{512, 10, 5}, {512, 3, 2}, {512, 3, 2}, {512, 3, 2},
                                   {512, 3, 2},  {512, 2, 2}, {512, 2, 2}};
  bool bias = false;
  FeatureNorm norm = FeatureNorm::kGroup;
  Activation activation = Activation::kGelu;

  std::vector<std::int64_t> dims() const;
  std::vector<std::int64_t> kernels() const;
  std::vector<std::int64_t> strides() const;
};

/// Frames that the convolutions make of `samples`; below 1 if there are too few, as Transformers
/// counts. Source: wav2vec 2.0 (Baevski et al., 2020), section 2.
std::int64_t conv_frames(const ConvFeaturesOptions& options, std::int64_t samples);

/// The convolutional front-end of wav2vec 2.0 and HuBERT: waveform to features.
/// Parameters: conv_layers.N.{conv,layer_norm}, as Transformers names them.
class ConvFeatures : public torch::nn::Module {
 public:
  explicit ConvFeatures(const ConvFeaturesOptions& options);

  /// @param samples  float [batch, samples]
  /// @param type  of the products' operands: float32 or bfloat16; float64 if the samples are
  /// @return float [batch, frames, dims of the last layer]
  /// @throws DataError if a layer would output no frame
  at::Tensor forward(const at::Tensor& samples, at::ScalarType type = at::kFloat);

 private:
  struct Layer {
    at::Tensor weight;                 ///< float [dims, inputs, kernel]
    at::Tensor bias;                   ///< float [dims]; may be undefined
    std::shared_ptr<LayerNorm> norm;   ///< over a frame's channels; null: none
    std::shared_ptr<GroupNorm> group;  ///< each channel over time; null: none
  };
  at::Tensor convolve(const Layer& layer, const StridedConvOptions& options,
                      const at::Tensor& x) const;
  at::Tensor norm(const Layer& layer, const at::Tensor& x) const;

  ConvFeaturesOptions options_;
  std::vector<Layer> layers_;
};

}  // namespace polyphony::nn
