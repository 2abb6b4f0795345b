#include <polyphony/nn/feed_forward.h>

#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/product.h>
#include <polyphony/nn/rows.h>
#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// hidden = dropout(relu(hidden))
void apply_relu_dropout(const at::Tensor& hidden, const DropoutMask& mask) {
  visit_type(hidden, [&](auto type) {
    using T = decltype(type);
    for_each_piece(hidden.numel(), [&](std::int64_t begin, std::int64_t n) {
      float factors[kPiece], buffer[kPiece];
      mask.factors(begin, n, factors);
      T* data = hidden.data_ptr<T>() + begin;
      float* line = floats::place(data, buffer);
      floats::relu_product(floats::view(data, n, buffer), factors, n, line);
      floats::put(line, n, data);
    });
  });
}

/// gradient = that of `apply_relu_dropout`'s input, given its result
void relu_dropout_backward(const at::Tensor& gradient, const at::Tensor& hidden, float factor) {
  visit_type(gradient, [&](auto type) {
    using T = decltype(type);
    for_each_piece(gradient.numel(), [&](std::int64_t begin, std::int64_t n) {
      float buffer[kPiece], beside[kPiece];
      T* data = gradient.data_ptr<T>() + begin;
      float* line = floats::place(data, buffer);
      floats::relu_backward(floats::view(data, n, buffer),
                            floats::view(hidden.data_ptr<T>() + begin, n, beside), factor, n, line);
      floats::put(line, n, data);
    });
  });
}

struct FeedForward : Function<FeedForward> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight1, const at::Tensor& bias1,
                            const at::Tensor& weight2, const at::Tensor& bias2,
                            const DropoutMask& mask) {
    const at::Tensor first = weight1.detach().to(x.scalar_type());
    const at::Tensor second = weight2.detach().to(x.scalar_type());
    const at::Tensor hidden = multiply_add(x, first, bias1);
    apply_relu_dropout(hidden, mask);
    context->save_for_backward({x, first, second});
    keep(context, std::make_pair(hidden, mask.factor()));
    return multiply_add(hidden, second, bias2);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto [hidden, factor] = kept<std::pair<at::Tensor, float>>(context);
    const at::Tensor gradient = gradients[0].contiguous();
    const at::Tensor hidden_grad = multiply(gradient, saved[2], gradient.scalar_type());
    relu_dropout_backward(hidden_grad, hidden, factor);
    release(context);
    return {multiply(hidden_grad, saved[1], gradient.scalar_type()),
            multiply(hidden_grad.t(), saved[0], at::kFloat),
            column_sums(hidden_grad),
            multiply(gradient.t(), hidden, at::kFloat),
            column_sums(gradient),
            {}};
  }
};

}  // namespace

at::Tensor feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                        const DropoutMask& mask) {
  return FeedForward::apply(x.contiguous(), weights.weight1, weights.bias1, weights.weight2,
                            weights.bias2, mask);
}

}  // namespace polyphony::nn
