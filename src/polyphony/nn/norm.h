#pragma once

#include <ATen/core/Tensor.h>

#include <polyphony/nn/dropout.h>

namespace polyphony::nn {

// Functions of [rows, dims], float32 or bfloat16; statistics and sums are float32.

/// Each row less its mean, over its deviation: layer norm without weight and bias; differentiable.
at::Tensor center(const at::Tensor& x);

/// Layer norm of residual + dropout(branch), in one pass; differentiable.
/// @param branch  may be undefined: none
struct NormWeights {
  at::Tensor weight, bias;
};
at::Tensor add_norm(const at::Tensor& residual, const at::Tensor& branch, const DropoutMask& mask,
                    const NormWeights& norm);

constexpr float kNormEps = 1e-5F;  // of torch.nn.LayerNorm

}  // namespace polyphony::nn
