#pragma once

#include <ATen/core/Tensor.h>

namespace polyphony::nn {

/// A weight whose slices along the last dimension have the lengths `g` and the directions of `v`
/// (Salimans and Kingma, 2016; torch's weight_norm with the last dimension). Differentiable.
/// @param v  float32 [..., size]
/// @param g  float32 of `size` elements
/// @return as `v`: v g / |v|
at::Tensor weight_norm(const at::Tensor& v, const at::Tensor& g);

}  // namespace polyphony::nn
