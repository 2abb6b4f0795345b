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

#include <polyphony/nn/bfloat16.h>
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
  std::array<std::int64_t, 12> numbers;
  auto operator<=>(const Shape&) const = default;
};

/// How a product reads its right matrix.
enum class Right {
  kAsItLies,
  kPacked,  ///< in oneDNN's own order: pays if the left one has many rows
};

struct Product {
  dnnl::matmul matmul;
  dnnl::memory::desc right;  // as `matmul` reads it
};

constexpr std::size_t kMostMade = 2048;  // products of one thread; then all are made anew

Product make_product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                     const at::Tensor& out, Begin begin, Right order) {
  dnnl::primitive_attr attributes;
  if (begin == Begin::kSum) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const dnnl::memory::desc right =
      order == Right::kAsItLies
          ? describe(b)
          : dnnl::memory::desc({b.size(0), b.size(1)}, type_of(b), dnnl::memory::format_tag::any);
  const dnnl::memory::desc line =
      bias.defined() ? dnnl::memory::desc({1, bias.numel()}, dnnl::memory::data_type::f32,
                                          dnnl::memory::format_tag::ab)
                     : dnnl::memory::desc();
  const dnnl::matmul::desc desc = bias.defined()
                                      ? dnnl::matmul::desc(describe(a), right, line, describe(out))
                                      : dnnl::matmul::desc(describe(a), right, describe(out));
  const dnnl::matmul::primitive_desc chosen(desc, attributes, processor());
  return {dnnl::matmul(chosen), chosen.weights_desc()};
}

/// A product of oneDNN's; making one costs more than running a small one.
const Product& product_for(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                           const at::Tensor& out, Begin begin, Right order) {
  thread_local std::map<Shape, Product> made;
  const Side left(a);
  const Side right(b);
  const Shape shape = {{a.size(0), a.size(1), b.size(1), left.transposed, left.step,
                        right.transposed, right.step, out.stride(0),
                        a.scalar_type() == at::kBFloat16, out.scalar_type() == at::kBFloat16,
                        bias.defined(), begin == Begin::kSum}};
  const auto found = made.find(shape);
  if (found != made.end()) return found->second;
  if (made.size() >= kMostMade) made.clear();
  return made.emplace(shape, make_product(a, b, bias, out, begin, order)).first->second;
}

dnnl::memory memory_of(const at::Tensor& x) { return {describe(x), processor(), x.data_ptr()}; }

/// b in the order that the product reads, in memory that serves one product after the other.
dnnl::memory packed(const at::Tensor& b, const Product& product, dnnl::stream& stream) {
  thread_local std::vector<float> room;
  const std::size_t size = product.right.get_size() / sizeof(float) + 1;
  if (room.size() < size) room.resize(size);
  dnnl::memory from = memory_of(b);
  dnnl::memory to(product.right, processor(), room.data());
  dnnl::reorder(from, to).execute(stream, from, to);
  return to;
}

void multiply_matmul(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                     const at::Tensor& out, Begin begin, Right order) {
  thread_local dnnl::stream stream(processor());
  const Product& product = product_for(a, b, bias, out, begin, order);
  std::unordered_map<int, dnnl::memory> arguments = {
      {DNNL_ARG_SRC, memory_of(a)},
      {DNNL_ARG_WEIGHTS, order == Right::kPacked ? packed(b, product, stream) : memory_of(b)},
      {DNNL_ARG_DST, memory_of(out)}};
  if (bias.defined()) {
    arguments.emplace(DNNL_ARG_BIAS, memory_of(bias.reshape({1, bias.numel()})));
  }
  product.matmul.execute(stream, arguments);
  stream.wait();
}

/// Small products gain nothing by oneDNN; LibTorch's own sum them in the order in which the Python
/// stack does.
void multiply_small(const at::Tensor& a, const at::Tensor& b, at::Tensor out, Begin begin) {
  const at::NoGradGuard no_grad;
  at::addmm_out(out, out, a, b, begin == Begin::kSum ? 1 : 0);
}

/// oneDNN's older interface, the faster one if the left matrix is a transpose.
void multiply_transposed(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out,
                         Begin begin) {
  const Side left(a);
  const Side right(b);
  const dnnl_status_t status =
      dnnl_sgemm(left.transposed ? 'T' : 'N', right.transposed ? 'T' : 'N', a.size(0), b.size(1),
                 a.size(1), 1.0F, a.data_ptr<float>(), left.step, b.data_ptr<float>(), right.step,
                 begin == Begin::kSum ? 1.0F : 0.0F, out.data_ptr<float>(),
                 std::max(out.stride(0), b.size(1)));
  if (status != dnnl_success) throw std::logic_error("oneDNN refused a product");
}

/// What a processor with products of bfloat16 computes: sums in float32, rounded once.
void multiply_widened(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out,
                      Begin begin) {
  const at::NoGradGuard no_grad;
  const at::Tensor wide = out.to(at::kFloat);  // out itself if it is
  multiply(a.to(at::kFloat), b.to(at::kFloat), wide, begin);
  if (out.scalar_type() != at::kFloat) out.copy_(wide);
}

bool is_small(const at::Tensor& a, const at::Tensor& b) {
  constexpr std::int64_t kSmall = std::int64_t{1} << 22;  // multiplications
  return a.size(0) * a.size(1) * b.size(1) <= kSmall;
}

Right order_for(const at::Tensor& a) {
  constexpr std::int64_t kManyRows = 1024;
  return a.scalar_type() == at::kFloat && a.size(0) >= kManyRows ? Right::kPacked
                                                                 : Right::kAsItLies;
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
    at::Tensor input_grad;
    if (context->needs_input_grad(0)) {
      input_grad = multiply(gradient, saved[1], gradient.scalar_type());
    }
    at::Tensor weight_grad, bias_grad;
    if (context->needs_input_grad(1)) weight_grad = multiply(gradient.t(), saved[0], at::kFloat);
    if (context->needs_input_grad(2)) bias_grad = column_sums(gradient);
    return {input_grad, weight_grad, bias_grad};
  }
};

}  // namespace

bool onednn_has_bfloat16() {
  static const bool has = [] {
    const dnnl::memory::desc square({8, 8}, dnnl::memory::data_type::bf16,
                                    dnnl::memory::format_tag::ab);
    try {
      const dnnl::matmul::primitive_desc made({square, square, square}, processor());
      return true;
    } catch (const dnnl::error&) {
      return false;
    }
  }();
  return has;
}

void multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out, Begin begin) {
  check(a, b, out);
  if (out.numel() == 0) return;
  if (a.size(1) == 0) {
    if (begin == Begin::kZero) out.zero_();
    return;
  }
  const bool narrow = a.scalar_type() == at::kBFloat16;
  if (narrow && !onednn_has_bfloat16()) {
    multiply_widened(a, b, out, begin);
  } else if (!narrow && is_small(a, b)) {
    multiply_small(a, b, out, begin);
  } else if (!narrow && Side(a).transposed) {
    multiply_transposed(a, b, out, begin);
  } else {
    multiply_matmul(a, b, {}, out, begin, order_for(a));
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
  if (x.scalar_type() == at::kFloat && is_small(x, weight.t())) {
    out.copy_(bias.detach());
    multiply_small(x, weight.t(), out, Begin::kSum);
  } else if (x.scalar_type() == at::kBFloat16 && !onednn_has_bfloat16()) {
    const at::NoGradGuard no_grad;
    out.copy_(multiply_add(x.to(at::kFloat), weight.to(at::kFloat), bias));
  } else {
    multiply_matmul(x, weight.t(), bias, out, Begin::kZero, order_for(x));
  }
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
