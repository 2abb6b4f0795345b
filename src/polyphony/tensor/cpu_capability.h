#pragma once

#include <string>

namespace polyphony::tensor {

/// The kernels that LibTorch computes with, as it says itself: "AVX512", "AVX2" or "NO AVX". It
/// takes the best that the processor has; ATEN_CPU_CAPABILITY (avx2, default) asks for others.
std::string cpu_capability();

}  // namespace polyphony::tensor
