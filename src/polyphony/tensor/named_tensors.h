#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace polyphony::tensor {

/// Tensors under their names, in an order that means something: a module's, a dataset's.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

}  // namespace polyphony::tensor
