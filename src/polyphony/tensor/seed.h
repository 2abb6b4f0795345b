#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/tensor/threads.h>

namespace polyphony::tensor {

/// Seeds the generator that initialisation and dropout draw from.
void seed_everything(std::uint64_t seed);
/// What it was seeded with.
std::uint64_t current_seed();
/// Its state, uint8 [n], and back.
at::Tensor generator_state();
void set_generator_state(const at::Tensor& state);

/// Whether irreproducible operations are refused, or warned of: true, false or warn.
enum class Determinism { kOff, kOn, kWarn };
bool read(const config::Node& node, Determinism& value);
std::string show(Determinism value);
inline const char* type_name(const Determinism&) { return "bool or warn"; }

/// @param threads  of LibTorch's kernels; 0: those that `measure_threads` finds fastest
void set_up_compute(int threads, Determinism determinism);
void set_threads(const Threads& threads);
/// Those in force.
Threads current_threads();
/// A resumed run computes with the threads that were measured when it began; does nothing where
/// `set_up_compute` was given a number. @return whether the number changed
bool resume_threads(const Threads& threads);
/// One line: LibTorch version, kernels in use, threads and whether they were measured.
std::string describe_compute();

}  // namespace polyphony::tensor
