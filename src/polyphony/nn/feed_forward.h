#pragma once

#include <ATen/core/Tensor.h>

#include <polyphony/nn/dropout.h>

namespace polyphony::nn {

struct FeedForwardWeights {
  at::Tensor weight1, bias1;  ///< float32 [wide, dims], [wide]
  at::Tensor weight2, bias2;  ///< float32 [dims, wide], [dims]
};

/// linear(dropout(relu(linear(x)))), differentiable. Of the wide layer only its result is kept: it
/// is 0 wherever ReLU or dropout made it so.
/// @param x  float32 or bfloat16 [rows, dims] @return the same
at::Tensor feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                        const DropoutMask& mask);

}  // namespace polyphony::nn
