#pragma once

#include <string>
#include <utility>
#include <vector>

namespace polyphony::tensor {

/// What tensors are computed with, name by name: LibTorch and the folder that it was loaded from,
/// oneDNN, BLAS, OpenMP's runtime, kernels and threads, devices.
std::vector<std::pair<std::string, std::string>> libtorch_facts();

}  // namespace polyphony::tensor
