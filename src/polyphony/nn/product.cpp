#include <polyphony/nn/product.h>

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <polyphony/nn/floats.h>
#include <polyphony/nn/rows.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// A matrix as a product reads it: which dimension is dense, and the step of the other.
struct Side {
  explicit Side(const at::Tensor& x) {
    if (x.dim() != 2) throw std::invalid_argument("a product takes matrices");
    const bool rows_dense = x.stride(1) == 1 || x.size(1) == 1;
    transposed = !rows_dense;
    if (!rows_dense && x.stride(0) != 1 && x.size(0) != 1) {
      throw std::invalid_argument("a product takes matrices with a dense dimension");
    }
    step = rows_dense ? std::max(x.stride(0), x.size(1)) : std::max(x.stride(1), x.size(0));
    step = std::max<std::int64_t>(step, 1);
  }
  bool transposed = false;
  std::int64_t step = 1;
};

dnnl::memory::data_type type_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? dnnl::memory::data_type::bf16
                                          : dnnl::memory::data_type::f32;
}

dnnl::engine& processor() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::desc describe(const at::Tensor& x) {
  const Side side(x);
  const dnnl::memory::dims strides =
      side.transposed ? dnnl::memory::dims{1, side.step} : dnnl::memory::dims{side.step, 1};
  return {{x.size(0), x.size(1)}, type_of(x), strides};
}

struct Shape {
  std::array<std::int64_t, 11> numbers;
  auto operator<=>(const Shape&) const = default;
};

/// A product of oneDNN's for bfloat16; making one costs more than running a small one.
const dnnl::matmul& product_for(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                                const at::Tensor& out, Begin begin) {
  thread_local std::map<Shape, dnnl::matmul> made;
  const Side left(a);
  const Side right(b);
  const Shape shape = {{a.size(0), a.size(1), b.size(1), left.transposed, left.step,
                        right.transposed, right.step, out.stride(0),
                        out.scalar_type() == at::kBFloat16, bias.defined(), begin == Begin::kSum}};
  const auto found = made.find(shape);
  if (found != made.end()) return found->second;
  constexpr std::size_t kMost = 2048;
  if (made.size() >= kMost) made.clear();
  dnnl::primitive_attr attributes;
  if (begin == Begin::kSum) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const dnnl::memory::desc bias_desc =
      bias.defined() ? dnnl::memory::desc({1, bias.numel()}, dnnl::memory::data_type::f32,
                                          dnnl::memory::format_tag::ab)
                     : dnnl::memory::desc();
  const dnnl::matmul::desc desc =
      bias.defined() ? dnnl::matmul::desc(describe(a), describe(b), bias_desc, describe(out))
                     : dnnl::matmul::desc(describe(a), describe(b), describe(out));
  return made.emplace(shape, dnnl::matmul({desc, attributes, processor()})).first->second;
}

dnnl::memory memory_of(const at::Tensor& x) { return {describe(x), processor(), x.data_ptr()}; }

void multiply_narrow(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                     const at::Tensor& out, Begin begin) {
  thread_local dnnl::stream stream(processor());
  std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_SRC, memory_of(a)},
                                                     {DNNL_ARG_WEIGHTS, memory_of(b)},
                                                     {DNNL_ARG_DST, memory_of(out)}};
  if (bias.defined()) {
    arguments.emplace(DNNL_ARG_BIAS, memory_of(bias.reshape({1, bias.numel()})));
  }
  product_for(a, b, bias, out, begin).execute(stream, arguments);
  stream.wait();
}

/// Small products gain nothing by oneDNN; LibTorch's own sum them in the order in which the Python
/// stack does.
void multiply_small(const at::Tensor& a, const at::Tensor& b, at::Tensor out, Begin begin) {
  const at::NoGradGuard no_grad;
  at::addmm_out(out, out, a, b, begin == Begin::kSum ? 1 : 0);
}

void multiply_float(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out, Begin begin) {
  constexpr std::int64_t kSmall = std::int64_t{1} << 22;  // multiplications
  if (a.size(0) * a.size(1) * b.size(1) <= kSmall) {
    multiply_small(a, b, out, begin);
    return;
  }
  const Side left(a);
  const Side right(b);
  const dnnl_status_t status =
      dnnl_sgemm(left.transposed ? 'T' : 'N', right.transposed ? 'T' : 'N', a.size(0), b.size(1),
                 a.size(1), 1.0F, a.data_ptr<float>(), left.step, b.data_ptr<float>(), right.step,
                 begin == Begin::kSum ? 1.0F : 0.0F, out.data_ptr<float>(),
                 std::max(out.stride(0), b.size(1)));
  if (status != dnnl_success) throw std::logic_error("oneDNN refused a product");
}

void check(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out) {
  const bool narrow = a.scalar_type() == at::kBFloat16;
  if (a.scalar_type() != b.scalar_type() || (!narrow && a.scalar_type() != at::kFloat) ||
      (out.scalar_type() != at::kFloat && !(narrow && out.scalar_type() == at::kBFloat16))) {
    throw std::invalid_argument("a product takes float32 or bfloat16 matrices of one type");
  }
  if (a.dim() != 2 || b.dim() != 2 || out.dim() != 2 || a.size(1) != b.size(0) ||
      out.size(0) != a.size(0) || out.size(1) != b.size(1)) {
    throw std::invalid_argument("the matrices of a product do not fit each other");
  }
}

struct Linear : Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    const at::Tensor typed = weight.detach().to(x.scalar_type());
    context->save_for_backward({x, typed});
    return multiply_add(x, typed, bias);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor back;
    if (context->needs_input_grad(0)) {
      back = multiply(gradient, saved[1], gradient.scalar_type());
    }
    return {back, multiply(gradient.t(), saved[0], at::kFloat), column_sums(gradient)};
  }
};

}  // namespace

void multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out, Begin begin) {
  check(a, b, out);
  if (out.numel() == 0) return;
  if (a.size(1) == 0) {
    if (begin == Begin::kZero) out.zero_();
    return;
  }
  if (a.scalar_type() == at::kFloat) {
    multiply_float(a, b, out, begin);
  } else {
    multiply_narrow(a, b, {}, out, begin);
  }
}

at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, at::ScalarType type) {
  at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options().dtype(type));
  multiply(a, b, out);
  return out;
}

at::Tensor multiply_add(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor out = at::empty({x.size(0), weight.size(0)}, x.options());
  if (out.numel() == 0) return out;
  check(x, weight.t(), out);
  if (x.scalar_type() == at::kBFloat16) {
    multiply_narrow(x, weight.t(), bias, out, Begin::kZero);
    return out;
  }
  const auto* line = bias.data_ptr<float>();
  const std::int64_t width = out.size(1);
  auto* data = out.data_ptr<float>();
  for_row_blocks(out.size(0), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) std::copy_n(line, width, data + row * width);
  });
  multiply_float(x, weight.t(), out, Begin::kSum);
  return out;
}

at::Tensor column_sums(const at::Tensor& x) {
  return visit_type(x, [&](auto type) {
    using T = decltype(type);
    const auto* data = x.data_ptr<T>();
    const std::int64_t width = x.size(1);
    return sum_over_rows(
        x.size(0), width, width, [&](std::int64_t row, float* sums, float* buffer) {
          floats::accumulate(floats::view(data + row * width, width, buffer), width, sums);
        });
  });
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Linear::apply(x.contiguous(), weight, bias);
}

}  // namespace polyphony::nn
