#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace polyphony::nn {

/// A convolution over time that keeps the number of frames, channels in groups: frame t of the
/// result reads frames t - kernel / 2 to t - kernel / 2 + kernel - 1, zeros beyond the ends (torch's
/// conv1d with padding = kernel / 2, less its last frame where the kernel is even). Frames are read
/// where they lie, never unfolded. Differentiable.
/// @param x       float32 [batch, frames, dims]
/// @param weight  float32 [dims, dims / groups, kernel]
/// @param bias    float32 [dims]
/// @return float32 [batch, frames, dims]
at::Tensor grouped_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        std::int64_t groups);

}  // namespace polyphony::nn
