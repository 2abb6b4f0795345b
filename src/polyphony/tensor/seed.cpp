#include <polyphony/tensor/seed.h>

#include <cstdlib>
#include <mutex>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

namespace polyphony::tensor {

void seed_everything(std::uint64_t seed) { at::manual_seed(seed); }

at::Tensor generator_state() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

void set_generator_state(const at::Tensor& state) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

void set_up_compute(int threads, Determinism determinism) {
  if (threads > 0) at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(determinism == Determinism::kOn, false);
}

namespace {

/// The kernels that LibTorch chooses; ATEN_CPU_CAPABILITY overrides them.
const char* kernels() {
  if (const char* chosen = std::getenv("ATEN_CPU_CAPABILITY")) return chosen;
  if (__builtin_cpu_supports("avx512f") != 0) return "AVX-512";
  return __builtin_cpu_supports("avx2") != 0 ? "AVX2" : "baseline";
}

}  // namespace

std::string describe_compute() {
  return fmt::format("LibTorch {}, {} kernels, oneDNN {}, {} threads", TORCH_VERSION, kernels(),
                     at::globalContext().hasMKLDNN() ? "on" : "absent", at::get_num_threads());
}

}  // namespace polyphony::tensor
