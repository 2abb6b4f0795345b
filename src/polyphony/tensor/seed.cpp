#include <polyphony/tensor/seed.h>

#include <dlfcn.h>

#include <mutex>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <polyphony/tensor/cpu_capability.h>

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

/// A function of OpenBLAS's, where that is the BLAS under LibTorch.
template <class Function>
Function* openblas(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

bool measured = false;  // whether the threads in force were chosen by measurement

}  // namespace

void set_threads(const Threads& threads) {
  at::set_num_threads(threads.kernels);
  // It keeps threads of its own, and has read OPENBLAS_NUM_THREADS when it was loaded.
  if (auto* set = openblas<void(int)>("openblas_set_num_threads")) set(threads.blas);
}

Threads current_threads() {
  Threads threads;
  threads.kernels = at::get_num_threads();
  threads.blas = threads.kernels;
  if (auto* get = openblas<int()>("openblas_get_num_threads")) threads.blas = get();
  return threads;
}

bool read(const config::Node& node, Determinism& value) {
  if (node.kind() == config::Node::Kind::kBool) {
    value = node.as_bool() ? Determinism::kOn : Determinism::kOff;
    return true;
  }
  value = Determinism::kWarn;
  return node.is_string() && node.as_string() == "warn";
}

std::string show(Determinism value) {
  static constexpr const char* kNames[] = {"false", "true", "warn"};
  return kNames[static_cast<int>(value)];
}

void set_up_compute(int threads, Determinism determinism) {
  static const int most = at::get_num_threads();  // before anybody lowers it
  measured = threads == 0;
  if (measured) {
    measure_threads(most);
  } else {
    set_threads({threads, threads});
  }
  at::globalContext().setDeterministicAlgorithms(determinism != Determinism::kOff,
                                                 determinism == Determinism::kWarn);
}

bool resume_threads(const Threads& threads) {
  if (!measured) return false;
  const Threads before = current_threads();
  set_threads(threads);
  const Threads now = current_threads();  // a BLAS without threads of its own has LibTorch's
  return now.kernels != before.kernels || now.blas != before.blas;
}

std::string describe_compute() {
  const Threads threads = current_threads();
  std::string line =
      fmt::format("LibTorch {}, {} kernels, oneDNN {}, {} thread{}{}", TORCH_VERSION,
                  cpu_capability(), at::globalContext().hasMKLDNN() ? "on" : "absent",
                  threads.kernels, threads.kernels == 1 ? "" : "s", measured ? " (measured)" : "");
  if (auto* core = openblas<char*()>("openblas_get_corename")) {
    line += fmt::format(", OpenBLAS {} with {}", core(), threads.blas);
  }
  return line;
}

}  // namespace polyphony::tensor
