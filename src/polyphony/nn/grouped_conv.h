#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace polyphony::nn {

/// A weight that is v g / |v|, its taps normed one by one (Salimans and Kingma, 2016; torch's
/// weight_norm with dim = 2).
struct NormedWeight {
  at::Tensor v;  ///< float32 [dims, dims / groups, kernel]
  at::Tensor g;  ///< float32, `kernel` elements
};

/// A convolution over time that keeps the number of frames, channels in groups: frame t of the
/// result reads frames t - kernel / 2 to t - kernel / 2 + kernel - 1, zeros beyond the ends
/// (torch's conv1d with padding = kernel / 2, less its last frame if the kernel is even). Frames
/// are read where they lie, never unfolded. Differentiable.
/// @param x     float32 [batch, frames, dims]
/// @param bias  float32 [dims]
/// @return float32 [batch, frames, dims]
at::Tensor grouped_conv(const at::Tensor& x, const NormedWeight& weight, const at::Tensor& bias);

}  // namespace polyphony::nn
