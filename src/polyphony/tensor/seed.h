#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

namespace polyphony::tensor {

/// Seeds the generator that initialisation and dropout draw from.
void seed_everything(std::uint64_t seed);
/// What it was seeded with.
std::uint64_t current_seed();
/// Its state, uint8 [n], and back.
at::Tensor generator_state();
void set_generator_state(const at::Tensor& state);

enum class Determinism { kOff, kOn, kWarn };
/// Threads of LibTorch's kernels (0: leave as it is) and whether to refuse irreproducible
/// operations, or to warn of them.
void set_up_compute(int threads, Determinism determinism);
/// One line: LibTorch version, kernels in use, threads.
std::string describe_compute();

}  // namespace polyphony::tensor
