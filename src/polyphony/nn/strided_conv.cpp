#include <polyphony/nn/strided_conv.h>

#include <algorithm>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/product.h>
#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// [dims, channels, kernel] -> [dims, kernel * channels]
at::Tensor by_taps(const at::Tensor& weight) {
  return weight.permute({0, 2, 1}).reshape({weight.size(0), -1});
}

/// The shape of a convolution, and some of its taps as a matrix product.
struct Taps {
  std::int64_t channels, kernel, stride, frames;

  /// What taps `first` to `first + count - 1` of each frame of an item read; where the next frame
  /// begins before they end, a copy.
  /// @param item  contiguous [time, channels] @return [frames, count * channels]
  at::Tensor rows(const at::Tensor& item, std::int64_t first, std::int64_t count) const {
    const at::Tensor view = item.as_strided({frames, count * channels}, {stride * channels, 1},
                                            item.storage_offset() + first * channels);
    return count > stride ? view.contiguous() : view;
  }
  /// Their columns of a [dims, kernel * channels] weight.
  at::Tensor columns(const at::Tensor& weight, std::int64_t first, std::int64_t count) const {
    return weight.narrow(1, first * channels, count * channels);
  }
  /// Calls `work(first, count)` for taps that frames do not share, `stride` at a time.
  template <class Work>
  void for_each_part(const Work& work) const {
    for (std::int64_t first = 0; first < kernel; first += stride) {
      work(first, std::min(stride, kernel - first));
    }
  }
  /// The same, but all taps at once if a frame is so short that copying it costs little.
  template <class Work>
  void for_each_read(const Work& work) const {
    constexpr std::int64_t kShort = 64;
    if (kernel * channels <= kShort) {
      work(std::int64_t{0}, kernel);
    } else {
      for_each_part(work);
    }
  }
};

struct StridedConv : Function<StridedConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const c10::optional<at::Tensor>& bias,
                            const StridedConvOptions& options) {
    const Taps taps{weight.size(1), weight.size(2), options.stride,
                    (x.size(1) - weight.size(2)) / options.stride + 1};
    const at::Tensor typed = x.to(options.type);
    const at::Tensor flat = by_taps(weight.detach().to(options.type));
    at::Tensor out = at::empty({x.size(0), taps.frames, weight.size(0)}, x.options());
    if (bias) out.copy_(bias->expand_as(out));
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      taps.for_each_read([&](std::int64_t first, std::int64_t count) {
        multiply(taps.rows(typed.select(0, i), first, count), taps.columns(flat, first, count).t(),
                 out.select(0, i), first == 0 && !bias ? Begin::kZero : Begin::kSum);
      });
    }
    context->save_for_backward({typed, flat});
    keep(context, std::make_pair(taps, bias.has_value()));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor gradient = gradients[0].contiguous();
    const at::Tensor typed = gradient.to(x.scalar_type());
    const auto& [taps, has_bias] = kept<std::pair<Taps, bool>>(context);
    at::Tensor input_grad, weight_grad, bias_grad;
    if (context->needs_input_grad(0)) input_grad = input_gradient(taps, typed, saved[1], x.sizes());
    if (context->needs_input_grad(1)) weight_grad = weight_gradient(taps, typed, x, saved[1]);
    if (has_bias) bias_grad = column_sums(gradient.flatten(0, 1));
    return {input_grad, weight_grad, bias_grad, at::Tensor()};
  }

 private:
  static at::Tensor input_gradient(const Taps& taps, const at::Tensor& gradient,
                                   const at::Tensor& flat, at::IntArrayRef sizes) {
    at::Tensor sum = at::zeros(sizes, gradient.options().dtype(at::kFloat));
    for (std::int64_t i = 0; i < sizes[0]; ++i) {
      taps.for_each_part([&](std::int64_t first, std::int64_t count) {
        multiply(gradient.select(0, i), taps.columns(flat, first, count),
                 taps.rows(sum.select(0, i), first, count), Begin::kSum);
      });
    }
    return sum;
  }

  static at::Tensor weight_gradient(const Taps& taps, const at::Tensor& gradient,
                                    const at::Tensor& x, const at::Tensor& flat) {
    const at::Tensor sum = at::empty(flat.sizes(), flat.options().dtype(at::kFloat));
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      taps.for_each_read([&](std::int64_t first, std::int64_t count) {
        multiply(gradient.select(0, i).t(), taps.rows(x.select(0, i), first, count),
                 taps.columns(sum, first, count), i == 0 ? Begin::kZero : Begin::kSum);
      });
    }
    return sum.view({flat.size(0), taps.kernel, taps.channels}).permute({0, 2, 1}).contiguous();
  }
};

}  // namespace

at::Tensor strided_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const StridedConvOptions& options) {
  const c10::optional<at::Tensor> line = bias.defined() ? c10::make_optional(bias) : c10::nullopt;
  return StridedConv::apply(x.contiguous(), weight, line, options);
}

}  // namespace polyphony::nn
