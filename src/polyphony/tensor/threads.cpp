#include <polyphony/tensor/threads.h>

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <polyphony/tensor/seed.h>

namespace polyphony::tensor {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBudget{70};  // warming up comes on top
constexpr int kRounds = 5;
constexpr double kNearlyAsFast = 1.05;

/// An element-wise loop on all threads, as between two products of a step.
void loop_over(std::vector<float>& values) {
  at::parallel_for(0, static_cast<std::int64_t>(values.size()), 4096,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       float& value = values[static_cast<std::size_t>(i)];
                       value = value * 0.5F + 1.0F;
                     }
                   });
}

/// oneDNN's product and loops beside it.
class KernelWork {
 public:
  void operator()() {
    for (int i = 0; i < 2; ++i) {
      dnnl_sgemm('N', 'T', kSize, kSize, kSize, 1.0F, a_.data(), kSize, b_.data(), kSize, 0.0F,
                 c_.data(), kSize);
      loop_over(c_);
    }
  }

 private:
  static constexpr std::int64_t kSize = 320;
  std::vector<float> a_ = std::vector<float>(kSize * kSize, 0.5F);
  std::vector<float> b_ = a_, c_ = a_;
};

/// OpenBLAS's product and loops beside it.
class BlasWork {
 public:
  void operator()() {
    for (int i = 0; i < 2; ++i) {
      at::mm_out(c_, a_, a_);
      loop_over(values_);
    }
  }

 private:
  at::Tensor a_ = at::full({256, 256}, 0.5F);
  at::Tensor c_ = at::full({256, 256}, 0.0F);
  std::vector<float> values_ = std::vector<float>(1 << 16, 0.5F);
};

/// The least seconds of each choice, in rounds over all of them so that a machine whose load
/// changes treats them alike. `choose` puts one into force; every choice is timed at least once.
template <class Choose, class Work>
std::vector<double> least_seconds(std::size_t choices, Clock::duration budget, const Choose& choose,
                                  Work& work) {
  std::vector<double> least(choices, 1e9);
  for (std::size_t i = 0; i < choices; ++i) {
    choose(i);
    work();  // threads start, kernels are made
  }
  const Clock::time_point end = Clock::now() + budget;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < choices; ++i) {
      if (round > 0 && Clock::now() > end) return least;
      choose(i);
      const Clock::time_point begin = Clock::now();
      work();
      least[i] = std::min(least[i], std::chrono::duration<double>(Clock::now() - begin).count());
    }
  }
  return least;
}

std::size_t first_nearly_least(const std::vector<double>& seconds) {
  const double least = *std::min_element(seconds.begin(), seconds.end());
  std::size_t i = 0;
  while (seconds[i] > kNearlyAsFast * least) ++i;
  return i;
}

}  // namespace

Threads measure_threads(int most) {
  const at::NoGradGuard no_grad;
  std::vector<int> counts;
  for (int count = 1; count < most; count *= 2) counts.push_back(count);
  counts.push_back(std::max(1, most));
  Threads chosen;
  if (counts.size() > 1) {
    KernelWork work;
    const auto seconds = least_seconds(
        counts.size(), kBudget * 2 / 3,
        [&](std::size_t i) {
          set_threads({counts[i], 1});
        },
        work);
    chosen.kernels = counts[first_nearly_least(seconds)];
  }
  if (chosen.kernels > 1) {
    BlasWork work;
    const std::vector<int> blas = {1, chosen.kernels};
    const auto seconds = least_seconds(
        blas.size(), kBudget / 3,
        [&](std::size_t i) {
          set_threads({chosen.kernels, blas[i]});
        },
        work);
    chosen.blas = blas[first_nearly_least(seconds)];
  }
  set_threads(chosen);
  return current_threads();  // a BLAS without threads of its own has LibTorch's
}

}  // namespace polyphony::tensor
