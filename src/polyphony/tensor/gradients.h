#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

namespace polyphony::tensor {

/// Back-propagates `scale * loss`.
void backward(const at::Tensor& loss, double scale);

/// While it lives, nothing is recorded for gradients.
using NoGrad = at::NoGradGuard;

}  // namespace polyphony::tensor
