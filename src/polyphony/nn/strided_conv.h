#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace polyphony::nn {

struct StridedConvOptions {
  std::int64_t stride = 1;
  at::ScalarType type = at::kFloat;  ///< of the products' operands: float32 or bfloat16
};

/// A convolution over time without padding, whose channels are the last dimension: `stride` taps at
/// a time are one matrix product on the frames where they lie. Differentiable.
/// @param x       float32 [batch, time, channels], time at least the kernel
/// @param weight  float32 [dims, channels, kernel]
/// @param bias    float32 [dims]; may be undefined
/// @return float32 [batch, (time - kernel) / stride + 1, dims]
at::Tensor strided_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const StridedConvOptions& options);

}  // namespace polyphony::nn
