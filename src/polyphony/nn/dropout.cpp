#include <polyphony/nn/dropout.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <stdexcept>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/relu.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/rows.h>
#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

std::uint64_t draw_key() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return at::check_generator<at::CPUGeneratorImpl>(generator)->random64();
}

void check_type(const at::Tensor& x) {
  if (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) return;
  throw std::invalid_argument("dropout takes float32 or bfloat16 tensors");
}

void check_beside(const at::Tensor& residual, const at::Tensor& x) {
  if (residual.sizes() == x.sizes() && residual.scalar_type() == x.scalar_type()) return;
  throw std::invalid_argument("add_dropout takes two tensors of one shape and type");
}

enum class Kernel { kScale, kAdd, kRelu };

template <class T>
void run_typed(Kernel kernel, const at::Tensor& x, const at::Tensor& y, const DropoutMask& mask,
               const at::Tensor& out) {
  const T* from = x.data_ptr<T>();
  const T* beside = y.defined() ? y.data_ptr<T>() : nullptr;
  T* to = out.data_ptr<T>();
  for_each_piece(x.numel(), [&](std::int64_t begin, std::int64_t n) {
    float factors[kPiece], wide_x[kPiece], wide_y[kPiece], wide_out[kPiece];
    mask.factors(begin, n, factors);
    const float* source = floats::view(from + begin, n, wide_x);
    float* place = floats::place(to + begin, wide_out);
    switch (kernel) {
      case Kernel::kScale:
        floats::multiply(source, factors, n, place);
        break;
      case Kernel::kRelu:
        floats::relu_product(source, factors, n, place);
        break;
      case Kernel::kAdd:
        floats::add_product(floats::view(beside + begin, n, wide_y), source, factors, n, place);
        break;
    }
    floats::put(place, n, to + begin);
  });
}

/// @param x, y  contiguous, of one type; y if the kernel reads it
at::Tensor run(Kernel kernel, const at::Tensor& x, const at::Tensor& y, const DropoutMask& mask) {
  at::Tensor out = at::empty_like(x, at::MemoryFormat::Contiguous);
  if (x.scalar_type() == at::kFloat) {
    run_typed<float>(kernel, x, y, mask, out);
  } else {
    run_typed<at::BFloat16>(kernel, x, y, mask, out);
  }
  return out;
}

template <class T>
void relu_back_typed(const at::Tensor& gradient, const at::Tensor& result, float factor,
                     const at::Tensor& out) {
  const T* from = gradient.data_ptr<T>();
  const T* beside = result.data_ptr<T>();
  T* to = out.data_ptr<T>();
  for_each_piece(gradient.numel(), [&](std::int64_t begin, std::int64_t n) {
    float wide_x[kPiece], wide_y[kPiece], wide_out[kPiece];
    float* place = floats::place(to + begin, wide_out);
    floats::relu_backward(floats::view(from + begin, n, wide_x),
                          floats::view(beside + begin, n, wide_y), factor, n, place);
    floats::put(place, n, to + begin);
  });
}

struct Dropout : Function<Dropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const DropoutMask& mask) {
    keep(context, mask);
    return run(Kernel::kScale, x.contiguous(), {}, mask);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto& mask = kept<DropoutMask>(context);
    return {run(Kernel::kScale, gradients[0].contiguous(), {}, mask), {}};
  }
};

struct AddDropout : Function<AddDropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual,
                            const at::Tensor& x, const DropoutMask& mask) {
    keep(context, mask);
    return run(Kernel::kAdd, x.contiguous(), residual.contiguous(), mask);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto& mask = kept<DropoutMask>(context);
    return {gradients[0], run(Kernel::kScale, gradients[0].contiguous(), {}, mask), {}};
  }
};

/// What was dropped or cut is 0 in the result, so the result is all that the gradient needs.
struct ReluDropout : Function<ReluDropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const DropoutMask& mask) {
    at::Tensor result = run(Kernel::kRelu, x.contiguous(), {}, mask);
    keep(context, mask);
    context->save_for_backward({result});
    return result;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor result = context->get_saved_variables()[0];
    const at::Tensor gradient = gradients[0].contiguous();
    const float factor = kept<DropoutMask>(context).factor();
    at::Tensor out = at::empty_like(gradient);
    if (result.scalar_type() == at::kFloat) {
      relu_back_typed<float>(gradient, result, factor, out);
    } else {
      relu_back_typed<at::BFloat16>(gradient, result, factor, out);
    }
    return {out, {}};
  }
};

}  // namespace

DropoutMask DropoutMask::draw(double rate) {
  if (!(rate >= 0 && rate <= 1)) throw std::invalid_argument("a dropout rate lies in [0, 1]");
  DropoutMask mask;
  if (rate == 0) return mask;
  constexpr double kSteps = 65536;
  const double keep = rate == 1 ? 0 : std::clamp(std::round((1 - rate) * kSteps), 1.0, kSteps - 1);
  mask.active_ = true;
  mask.draws_.key = draw_key();
  mask.draws_.keep = static_cast<std::uint32_t>(keep);
  mask.draws_.factor = keep == 0 ? 0.0F : static_cast<float>(kSteps / keep);
  return mask;
}

DropoutMask DropoutMask::draw_if(bool training, double rate) {
  return training ? draw(rate) : DropoutMask();
}

void DropoutMask::factors(std::int64_t begin, std::int64_t count, float* out) const {
  constexpr std::int64_t kGroup = BernoulliGroups::kGroup;
  if (!active_) {
    std::fill_n(out, count, 1.0F);
    return;
  }
  while (count > 0) {
    const std::int64_t skipped = begin % kGroup;
    std::int64_t taken = count / kGroup * kGroup;
    if (skipped == 0 && taken > 0) {
      draws_.draw(begin / kGroup, taken / kGroup, out);
    } else {
      float group[kGroup];
      draws_.draw(begin / kGroup, 1, group);
      taken = std::min(count, kGroup - skipped);
      std::copy_n(group + skipped, taken, out);
    }
    begin += taken;
    out += taken;
    count -= taken;
  }
}

at::Tensor DropoutMask::factors(at::IntArrayRef sizes) const {
  at::Tensor out = at::empty(sizes, at::kFloat);
  auto* data = out.data_ptr<float>();
  for_each_piece(out.numel(),
                 [&](std::int64_t begin, std::int64_t n) { factors(begin, n, data + begin); });
  return out;
}

at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask) {
  if (!mask.active()) return x;
  check_type(x);
  return Dropout::apply(x, mask);
}

at::Tensor add_dropout(const at::Tensor& residual, const at::Tensor& x, const DropoutMask& mask) {
  if (!mask.active()) return at::add(residual, x);
  check_type(x);
  check_beside(residual, x);
  return AddDropout::apply(residual, x, mask);
}

at::Tensor relu_dropout(const at::Tensor& x, const DropoutMask& mask) {
  if (!mask.active()) return at::relu(x);
  check_type(x);
  return ReluDropout::apply(x, mask);
}

}  // namespace polyphony::nn
