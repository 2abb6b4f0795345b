#include <polyphony/tensor/seed.h>

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

namespace polyphony::tensor {

void seed_everything(std::uint64_t seed) { at::manual_seed(seed); }

std::uint64_t current_seed() { return at::detail::getDefaultCPUGenerator().current_seed(); }

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

namespace {

/// OpenBLAS keeps threads of its own, and has read OPENBLAS_NUM_THREADS when it was loaded.
void set_blas_threads(int threads) {
  using SetThreads = void (*)(int);
  if (const auto set =
          reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) {
    set(threads);
  }
}

}  // namespace

void set_up_compute(int threads, Determinism determinism) {
  if (threads > 0) {
    at::set_num_threads(threads);
    set_blas_threads(threads);
  }
  at::globalContext().setDeterministicAlgorithms(determinism != Determinism::kOff,
                                                 determinism == Determinism::kWarn);
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
