#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

namespace polyphony::tensor {

/// Back-propagates `scale * loss`.
void backward(const at::Tensor& loss, double scale);

/// While it lives, nothing is recorded for gradients.
using NoGrad = at::NoGradGuard;

}  // namespace polyphony::tensor
