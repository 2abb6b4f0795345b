#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace polyphony::nn {

/// Runs `segment` without keeping what its backward pass needs, and runs it again there, with the
/// same random draws (Chen et al., 2016; torch.utils.checkpoint). Gradients of parameters that the
/// segment uses are added where backward always adds them.
/// @param segment  float tensor -> float tensor; must live until the backward pass
at::Tensor checkpoint(const std::function<at::Tensor(const at::Tensor&)>& segment,
                      const at::Tensor& x);

}  // namespace polyphony::nn
