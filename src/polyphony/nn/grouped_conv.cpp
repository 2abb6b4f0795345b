#include <polyphony/nn/grouped_conv.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/product.h>
#include <polyphony/nn/rows.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// All but the batch.
struct Shape {
  Shape(const at::Tensor& x, const at::Tensor& weight)
      : frames(x.size(1)), dims(x.size(2)), channels(weight.size(1)), kernel(weight.size(2)) {}
  std::int64_t frames, dims, channels, kernel;

  std::int64_t groups() const { return dims / channels; }
  std::int64_t width() const { return floats::padded(channels); }
  std::int64_t window() const { return kernel * channels; }  // what a frame reads of its group
};

/// A pass over a group: its taps run from the first to the last, or back.
enum class Pass { kForward, kBackward };

/// One group's frames of an item, padded with zeros: [frames + kernel - 1, channels].
std::vector<float> padded_frames(const float* item, const Shape& s, std::int64_t group,
                                 std::int64_t before) {
  std::vector<float> out(static_cast<std::size_t>((s.frames + s.kernel - 1) * s.channels));
  for (std::int64_t t = 0; t < s.frames; ++t) {
    std::copy_n(item + t * s.dims + group * s.channels, s.channels,
                out.data() + (before + t) * s.channels);
  }
  return out;
}

/// to[column * to_step + row] = from[row * from_step + column], in blocks of whole cache lines.
struct Transpose {
  const float* from;
  std::int64_t from_step;
  float* to;
  std::int64_t to_step;
  std::int64_t rows, columns;

  void run() const {
    constexpr std::int64_t kBlock = 16;
    for (std::int64_t row = 0; row < rows; row += kBlock) {
      for (std::int64_t column = 0; column < columns; column += kBlock) {
        run_block(row, std::min(kBlock, rows - row), column, std::min(kBlock, columns - column));
      }
    }
  }

 private:
  void run_block(std::int64_t row, std::int64_t height, std::int64_t column,
                 std::int64_t width) const {
    float block[16][16];
    for (std::int64_t r = 0; r < height; ++r) {
      const float* line = from + (row + r) * from_step + column;
      for (std::int64_t c = 0; c < width; ++c) block[c][r] = line[c];
    }
    for (std::int64_t c = 0; c < width; ++c) {
      std::copy_n(block[c], height, to + (column + c) * to_step + row);
    }
  }
};

/// What a weight's taps are made of.
struct Taps {
  at::Tensor v;      // float32 [dims, channels, kernel]
  at::Tensor scale;  // float32 [kernel], g / |v|
};

/// A group's weight as the matrix [kernel * channels, width] that windows of frames are multiplied
/// by, or in the backward pass windows of gradients.
std::vector<float> taps_of(const Taps& taps, const Shape& s, std::int64_t group, Pass pass) {
  std::vector<float> out(static_cast<std::size_t>(s.window() * s.width()));
  const float* from = taps.v.data_ptr<float>() + group * s.channels * s.window();
  const std::int64_t step = s.channels * s.width();  // from tap to tap
  const bool forward = pass == Pass::kForward;
  for (std::int64_t i = 0; i < s.channels; ++i) {
    if (forward) {
      Transpose{from + i * s.kernel, s.window(), out.data() + i * s.width(), step,
                s.channels,          s.kernel}
          .run();
    } else {
      float* last = out.data() + (s.kernel - 1) * step + i * s.width();
      Transpose{from + i * s.window(), s.kernel, last, -step, s.channels, s.kernel}.run();
    }
  }
  for (std::int64_t k = 0; k < s.kernel; ++k) {
    float* tap = out.data() + (forward ? k : s.kernel - 1 - k) * step;
    const float scale = taps.scale.data_ptr<float>()[k];
    for (std::int64_t i = 0; i < step; ++i) tap[i] *= scale;
  }
  return out;
}

/// The inverse of `taps_of`, forward.
void put_taps(const std::vector<float>& taps, const Shape& s, std::int64_t group, float* weight) {
  float* to = weight + group * s.channels * s.window();
  for (std::int64_t i = 0; i < s.channels; ++i) {
    Transpose{taps.data() + i * s.width(),
              s.channels * s.width(),
              to + i * s.kernel,
              s.window(),
              s.kernel,
              s.channels}
        .run();
  }
}

/// sums[t] += the window of frame t, times the taps. A few taps at a time, which stay in the cache.
void convolve(const std::vector<float>& frames, const std::vector<float>& taps, const Shape& s,
              std::vector<float>& sums) {
  constexpr std::int64_t kRows = 512;
  for (std::int64_t first = 0; first < s.window(); first += kRows) {
    floats::multiply_small({s.frames, s.width(), std::min(kRows, s.window() - first),
                            frames.data() + first, s.channels, 1, taps.data() + first * s.width(),
                            s.width(), sums.data(), s.width()});
  }
}

template <class Work>
void for_each_group(const Shape& s, const Work& work) {
  at::parallel_for(0, s.groups(), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t group = first; group < last; ++group) work(group);
  });
}

/// @param bias  may be null: zeros
at::Tensor run(const at::Tensor& x, const Taps& weight, const float* bias, Pass pass) {
  const Shape s(x, weight.v);
  at::Tensor out = at::empty_like(x);
  // What lies before the first frame's own place in its window.
  const std::int64_t before = pass == Pass::kForward ? s.kernel / 2 : s.kernel - 1 - s.kernel / 2;
  for_each_group(s, [&](std::int64_t group) {
    const std::vector<float> taps = taps_of(weight, s, group, pass);
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      const std::int64_t at = i * s.frames * s.dims;
      std::vector<float> sums(static_cast<std::size_t>(s.frames * s.width()));
      for (std::int64_t t = 0; bias != nullptr && t < s.frames; ++t) {
        std::copy_n(bias + group * s.channels, s.channels, sums.data() + t * s.width());
      }
      convolve(padded_frames(x.data_ptr<float>() + at, s, group, before), taps, s, sums);
      for (std::int64_t t = 0; t < s.frames; ++t) {
        std::copy_n(sums.data() + t * s.width(), s.channels,
                    out.data_ptr<float>() + at + t * s.dims + group * s.channels);
      }
    }
  });
  return out;
}

/// The gradient of the weight itself, v scale.
at::Tensor weight_gradient(const at::Tensor& x, const at::Tensor& gradient, const Taps& weight) {
  const Shape s(x, weight.v);
  at::Tensor out = at::empty_like(weight.v);
  for_each_group(s, [&](std::int64_t group) {
    std::vector<float> sums(static_cast<std::size_t>(s.window() * s.width()));
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      const std::int64_t at = i * s.frames * s.dims;
      const std::vector<float> frames =
          padded_frames(x.data_ptr<float>() + at, s, group, s.kernel / 2);
      std::vector<float> grads(static_cast<std::size_t>(s.frames * s.width()));
      for (std::int64_t t = 0; t < s.frames; ++t) {
        std::copy_n(gradient.data_ptr<float>() + at + t * s.dims + group * s.channels, s.channels,
                    grads.data() + t * s.width());
      }
      floats::multiply_small({s.window(), s.width(), s.frames, frames.data(), 1, s.channels,
                              grads.data(), s.width(), sums.data(), s.width()});
    }
    put_taps(sums, s, group, out.data_ptr<float>());
  });
  return out;
}

/// Sums over all but the last dimension, of a b. @return float32 [kernel]
at::Tensor sums_of_products(const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t size = a.size(2);
  return sum_over_rows(a.numel() / size, size, 0, [&](std::int64_t row, float* sums, float*) {
    floats::accumulate_product(a.data_ptr<float>() + row * size, b.data_ptr<float>() + row * size,
                               size, sums);
  });
}

/// out = out a + v b, taps by taps: the gradient of v if `out` is that of v scale.
void apply_scale_gradient(const at::Tensor& out, const at::Tensor& a, const at::Tensor& v,
                          const at::Tensor& b) {
  const std::int64_t size = v.size(2);
  for_row_blocks(v.numel() / size, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      float* line = out.data_ptr<float>() + row * size;
      floats::multiply(line, a.data_ptr<float>(), size, line);
      floats::accumulate_product(v.data_ptr<float>() + row * size, b.data_ptr<float>(), size, line);
    }
  });
}

struct GroupedConv : Function<GroupedConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& v,
                            const at::Tensor& g, const at::Tensor& bias) {
    const at::Tensor norms = sums_of_products(v, v).sqrt_();
    const at::Tensor scale = g.flatten() / norms;
    context->save_for_backward({x, v, g, norms, scale});
    return run(x, {v, scale}, bias.data_ptr<float>(), Pass::kForward);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &v = saved[1], &norms = saved[3], &scale = saved[4];
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor input_grad, v_grad, g_grad, bias_grad;
    if (context->needs_input_grad(0))
      input_grad = run(gradient, {v, scale}, nullptr, Pass::kBackward);
    if (context->needs_input_grad(1) || context->needs_input_grad(2)) {
      v_grad = weight_gradient(saved[0], gradient, {v, scale});
      const at::Tensor along = sums_of_products(v_grad, v);
      g_grad = (along / norms).view(saved[2].sizes());
      apply_scale_gradient(v_grad, scale, v, -(scale * along / (norms * norms)));
    }
    if (context->needs_input_grad(3)) bias_grad = column_sums(gradient.flatten(0, 1));
    return {input_grad, v_grad, g_grad, bias_grad};
  }
};

}  // namespace

at::Tensor grouped_conv(const at::Tensor& x, const NormedWeight& weight, const at::Tensor& bias) {
  if (x.dim() != 3 || weight.v.dim() != 3 || weight.v.size(0) != x.size(2) ||
      x.size(2) % weight.v.size(1) != 0 || weight.g.numel() != weight.v.size(2)) {
    throw std::invalid_argument("the weight of a grouped convolution does not fit its input");
  }
  return GroupedConv::apply(x.contiguous(), weight.v.contiguous(), weight.g.contiguous(), bias);
}

}  // namespace polyphony::nn
