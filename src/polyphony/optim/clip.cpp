// What all gradients of an optimizer together are cut to.
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <polyphony/optim/optimizer.h>

namespace polyphony::optim {
namespace {

constexpr std::int64_t kChunk = 1 << 14;  // fixed, so that the sum does not depend on threads

struct Piece {
  const float* data;
  std::int64_t size;
};

double sum_of_squares(const Piece& piece) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= piece.size; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(piece.data[i + lane]);
      lanes[lane] += value * value;
    }
  }
  double sum = 0;
  for (; i < piece.size; ++i) sum += static_cast<double>(piece.data[i]) * piece.data[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <class Visit>
void for_each_gradient(const Optimizer& optimizer, const Visit& visit) {
  for (const ParamGroup& group : optimizer.groups()) {
    for (const auto& [name, parameter] : group.parameters) {
      if (parameter.grad().defined()) visit(parameter.grad());
    }
  }
}

}  // namespace

double grad_norm(const Optimizer& optimizer) {
  std::vector<at::Tensor> gradients;
  std::vector<Piece> pieces;
  for_each_gradient(optimizer, [&](const at::Tensor& gradient) {
    gradients.push_back(gradient.contiguous());
    const float* data = gradients.back().data_ptr<float>();
    const std::int64_t size = gradient.numel();
    for (std::int64_t begin = 0; begin < size; begin += kChunk) {
      pieces.push_back({data + begin, std::min(kChunk, size - begin)});
    }
  });
  std::vector<double> sums(pieces.size());
  at::parallel_for(
      0, static_cast<std::int64_t>(pieces.size()), 2, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          sums[i] = sum_of_squares(pieces[i]);
        }
      });
  double sum = 0;
  for (const double part : sums) sum += part;
  return std::sqrt(sum);
}

double clip_scale(double norm, double max_norm) {
  const double scale = max_norm / (norm + 1e-6);
  return scale < 1.0 ? scale : 1.0;
}

void clip_grad_value(const Optimizer& optimizer, double limit) {
  const at::NoGradGuard no_grad;
  for_each_gradient(optimizer, [&](at::Tensor gradient) { gradient.clamp_(-limit, limit); });
}

}  // namespace polyphony::optim
