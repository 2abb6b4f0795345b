#include <polyphony/nn/norm.h>

#include <algorithm>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/rows.h>
#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using floats::place;
using floats::put;
using floats::view;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct Center : Function<Center> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    const std::int64_t dims = x.size(1);
    at::Tensor out = at::empty_like(x);
    at::Tensor scales = at::empty({x.size(0)}, at::kFloat);
    visit_type(x, [&](auto type) {
      using T = decltype(type);
      for_row_blocks(x.size(0), [&](std::int64_t first, std::int64_t last) {
        std::vector<float> buffer(static_cast<std::size_t>(2 * dims));
        for (std::int64_t row = first; row < last; ++row) {
          T* to = out.data_ptr<T>() + row * dims;
          const float* from = view(x.data_ptr<T>() + row * dims, dims, buffer.data());
          float* line = place(to, buffer.data() + dims);
          scales.data_ptr<float>()[row] = floats::normalize(from, dims, kNormEps, line);
          put(line, dims, to);
        }
      });
    });
    context->save_for_backward({out, scales});
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    const std::int64_t dims = gradient.size(1);
    at::Tensor out = at::empty_like(gradient);
    visit_type(gradient, [&](auto type) {
      using T = decltype(type);
      for_row_blocks(gradient.size(0), [&](std::int64_t first, std::int64_t last) {
        std::vector<float> buffer(static_cast<std::size_t>(3 * dims));
        for (std::int64_t row = first; row < last; ++row) {
          const std::int64_t at = row * dims;
          T* to = out.data_ptr<T>() + at;
          float* line = place(to, buffer.data());
          floats::normalize_backward(
              view(gradient.data_ptr<T>() + at, dims, buffer.data() + dims),
              view(saved[0].data_ptr<T>() + at, dims, buffer.data() + 2 * dims),
              saved[1].data_ptr<float>()[row], dims, line);
          put(line, dims, to);
        }
      });
    });
    return {out};
  }
};

struct AddNorm : Function<AddNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual,
                            const c10::optional<at::Tensor>& added, const at::Tensor& weight,
                            const at::Tensor& bias, const DropoutMask& mask) {
    keep(context, std::make_pair(mask, added.has_value()));
    const at::Tensor branch = added.value_or(at::Tensor());
    at::Tensor out = at::empty_like(residual);
    at::Tensor centered = at::empty_like(residual);
    at::Tensor scales = at::empty({residual.size(0)}, at::kFloat);
    visit_type(residual, [&](auto type) {
      run<decltype(type)>(residual, branch, {weight, bias}, mask, {out, centered, scales});
    });
    context->save_for_backward({centered, scales, weight});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor residual_grad = at::empty_like(gradient);
    at::Tensor branch_grad;
    const auto& [mask, has_branch] = kept<std::pair<DropoutMask, bool>>(context);
    if (has_branch) branch_grad = mask.active() ? at::empty_like(gradient) : residual_grad;
    const std::int64_t dims = gradient.size(1);
    const at::Tensor sums = visit_type(gradient, [&](auto type) {
      return run_backward<decltype(type)>(gradient, saved, mask, residual_grad,
                                          has_branch && mask.active() ? branch_grad : at::Tensor());
    });
    return {residual_grad, branch_grad, sums.narrow(0, 0, dims), sums.narrow(0, dims, dims), {}};
  }

 private:
  struct Results {
    const at::Tensor &out, &centered, &scales;
  };

  template <class T>
  static void run(const at::Tensor& residual, const at::Tensor& branch, const NormWeights& norm,
                  const DropoutMask& mask, const Results& results) {
    const std::int64_t dims = residual.size(1);
    for_row_blocks(residual.size(0), [&](std::int64_t first, std::int64_t last) {
      std::vector<float> scratch(static_cast<std::size_t>(5 * dims));
      float* sum = scratch.data();
      float* factors = sum + dims;
      float* buffer = factors + dims;
      for (std::int64_t row = first; row < last; ++row) {
        const std::int64_t at = row * dims;
        const float* line = view(residual.data_ptr<T>() + at, dims, buffer);
        if (branch.defined()) {
          mask.factors(at, dims, factors);
          const float* beside = view(branch.data_ptr<T>() + at, dims, buffer + dims);
          floats::add_product(line, beside, factors, dims, sum);
          line = sum;
        }
        float* centered = place(results.centered.data_ptr<T>() + at, buffer + dims);
        results.scales.data_ptr<float>()[row] = floats::normalize(line, dims, kNormEps, centered);
        put(centered, dims, results.centered.data_ptr<T>() + at);
        float* out = place(results.out.data_ptr<T>() + at, buffer + 2 * dims);
        floats::affine(centered, norm.weight.data_ptr<float>(), norm.bias.data_ptr<float>(), dims,
                       out);
        put(out, dims, results.out.data_ptr<T>() + at);
      }
    });
  }

  /// @return gradients of weight and bias, one after the other
  template <class T>
  static at::Tensor run_backward(const at::Tensor& gradient, const variable_list& saved,
                                 const DropoutMask& mask, const at::Tensor& residual_grad,
                                 const at::Tensor& branch_grad) {
    const std::int64_t dims = gradient.size(1);
    const auto* weight = saved[2].data_ptr<float>();
    return sum_over_rows(
        gradient.size(0), 2 * dims, 5 * dims, [&](std::int64_t row, float* sums, float* scratch) {
          const std::int64_t at = row * dims;
          const float* g = view(gradient.data_ptr<T>() + at, dims, scratch);
          const float* centered = view(saved[0].data_ptr<T>() + at, dims, scratch + dims);
          float* weighted = scratch + 2 * dims;
          float* factors = scratch + 3 * dims;
          floats::accumulate_product(g, centered, dims, sums);
          floats::accumulate(g, dims, sums + dims);
          floats::multiply(g, weight, dims, weighted);
          floats::normalize_backward(weighted, centered, saved[1].data_ptr<float>()[row], dims,
                                     weighted);
          float* line = place(residual_grad.data_ptr<T>() + at, weighted);
          if (line != weighted) std::copy_n(weighted, dims, line);
          put(line, dims, residual_grad.data_ptr<T>() + at);
          if (!branch_grad.defined()) return;
          mask.factors(at, dims, factors);
          float* beside = place(branch_grad.data_ptr<T>() + at, scratch + 4 * dims);
          floats::multiply(weighted, factors, dims, beside);
          put(beside, dims, branch_grad.data_ptr<T>() + at);
        });
  }
};

}  // namespace

at::Tensor center(const at::Tensor& x) { return Center::apply(x.contiguous()); }

at::Tensor add_norm(const at::Tensor& residual, const at::Tensor& branch, const DropoutMask& mask,
                    const NormWeights& norm) {
  const c10::optional<at::Tensor> added =
      branch.defined() ? c10::make_optional(branch.contiguous()) : c10::nullopt;
  return AddNorm::apply(residual.contiguous(), added, norm.weight, norm.bias, mask);
}

}  // namespace polyphony::nn
