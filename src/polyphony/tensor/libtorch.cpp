#include <polyphony/tensor/libtorch.h>

#include <dlfcn.h>

#include <filesystem>

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.h>
#include <torch/version.h>

#include <polyphony/tensor/seed.h>

namespace polyphony::tensor {
namespace {

/// The file that a function was loaded from; "" where it is not known.
std::filesystem::path file_of(const void* function) {
  Dl_info info{};
  if (function == nullptr || dladdr(function, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::canonical(info.dli_fname, error);
  return error ? std::filesystem::path(info.dli_fname) : whole;
}

/// Ours, and LibTorch's own if it has another one inside, as PyTorch's wheels do.
std::string onednn() {
  const dnnl_version_t* version = dnnl_version();
  const std::string ours = fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
  std::string text =
      fmt::format("{}, {}", ours, file_of(reinterpret_cast<const void*>(&dnnl_version)).string());
  const std::string theirs = at::get_mkldnn_version();
  if (theirs.find("v" + ours) == std::string::npos) text += "; LibTorch's own: " + theirs;
  return text;
}

/// A library of its own if it is OpenBLAS; other LibTorches have MKL inside.
std::string blas() {
  void* config = dlsym(RTLD_DEFAULT, "openblas_get_config");
  if (config == nullptr) return at::get_mkl_version();
  return fmt::format("{}, {}", reinterpret_cast<const char* (*)()>(config)(),
                     file_of(config).string());
}

}  // namespace

std::vector<std::pair<std::string, std::string>> libtorch_facts() {
  const auto* parallel = reinterpret_cast<const void*>(&at::get_num_threads);
  return {
      {"LibTorch", fmt::format("{}, {}", TORCH_VERSION, file_of(parallel).parent_path().string())},
      {"oneDNN", onednn()},
      {"BLAS", blas()},
      {"OpenMP", file_of(dlsym(RTLD_DEFAULT, "omp_get_max_threads")).string()},
      {"compute", describe_compute()},
      {"devices", "cpu"},
  };
}

}  // namespace polyphony::tensor
