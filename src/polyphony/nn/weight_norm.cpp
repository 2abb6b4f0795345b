#include <polyphony/nn/weight_norm.h>

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/rows.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Sums over all slices' elements, of a b. @return float32 [size]
at::Tensor sums_of_products(const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t size = a.size(-1);
  return sum_over_rows(a.numel() / size, size, 0, [&](std::int64_t row, float* sums, float*) {
    floats::accumulate_product(a.data_ptr<float>() + row * size, b.data_ptr<float>() + row * size,
                               size, sums);
  });
}

struct WeightNorm : Function<WeightNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& v, const at::Tensor& g) {
    const at::Tensor norms = sums_of_products(v, v).sqrt_();
    const at::Tensor scale = g.flatten() / norms;
    at::Tensor out = at::empty_like(v);
    const std::int64_t size = v.size(-1);
    for_row_blocks(v.numel() / size, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        floats::multiply(v.data_ptr<float>() + row * size, scale.data_ptr<float>(), size,
                         out.data_ptr<float>() + row * size);
      }
    });
    context->save_for_backward({v, g, norms, scale});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &v = saved[0], &norms = saved[2], &scale = saved[3];
    const at::Tensor gradient = gradients[0].contiguous();
    const at::Tensor along = sums_of_products(gradient, v);
    // scale (gradient - v along / norms^2)
    const at::Tensor against = -(scale * along / (norms * norms));
    at::Tensor back = at::empty_like(v);
    const std::int64_t size = v.size(-1);
    for_row_blocks(v.numel() / size, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        float* out = back.data_ptr<float>() + row * size;
        floats::multiply(gradient.data_ptr<float>() + row * size, scale.data_ptr<float>(), size,
                         out);
        floats::accumulate_product(v.data_ptr<float>() + row * size, against.data_ptr<float>(),
                                   size, out);
      }
    });
    return {back, (along / norms).view(saved[1].sizes())};
  }
};

}  // namespace

at::Tensor weight_norm(const at::Tensor& v, const at::Tensor& g) {
  return WeightNorm::apply(v.contiguous(), g.contiguous());
}

}  // namespace polyphony::nn
