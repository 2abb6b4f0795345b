#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <polyphony/nn/layers.h>

namespace polyphony::nn {

struct PositionalConvOptions {
  std::int64_t dims = 768;
  std::int64_t kernel = 128;  ///< frames
  std::int64_t groups = 16;   ///< divides dims
  Activation activation = Activation::kGelu;
};

/// The positions of wav2vec 2.0: a grouped convolution over time, whose weight is normed for each
/// of its taps (Salimans and Kingma, 2016; `weight_norm(dim=2)`).
/// Parameters: conv.{bias, weight_g, weight_v}.
class PositionalConv : public torch::nn::Module {
 public:
  explicit PositionalConv(const PositionalConvOptions& options);

  /// @param x  float [batch, frames, dims]
  /// @return what to add to it, of the same shape
  at::Tensor forward(const at::Tensor& x) const;

 private:
  at::Tensor convolve(const at::Tensor& x) const;

  PositionalConvOptions options_;
  at::Tensor bias_;      ///< float [dims]
  at::Tensor weight_g_;  ///< float [1, 1, kernel]
  at::Tensor weight_v_;  ///< float [dims, dims / groups, kernel]
};

}  // namespace polyphony::nn
