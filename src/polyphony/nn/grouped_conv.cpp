#include <polyphony/nn/grouped_conv.h>

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/floats.h>
#include <polyphony/nn/product.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

std::int64_t padded(std::int64_t n) { return (n + 15) / 16 * 16; }

/// All but the batch.
struct Shape {
  Shape(const at::Tensor& x, const at::Tensor& weight)
      : frames(x.size(1)), dims(x.size(2)), channels(weight.size(1)), kernel(weight.size(2)) {}
  std::int64_t frames, dims, channels, kernel;

  std::int64_t groups() const { return dims / channels; }
  std::int64_t width() const { return padded(channels); }
  std::int64_t window() const { return kernel * channels; }  // what a frame reads of its group
};

/// Which way the taps of a group run.
enum class Way { kForward, kBackward };

/// One group's frames of an item with zeros around them: [frames + kernel - 1, channels].
std::vector<float> surrounded(const float* item, const Shape& s, std::int64_t group,
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

/// A group's weight as the matrix [kernel * channels, width] that windows of frames are multiplied
/// by, or in the backward pass windows of gradients.
std::vector<float> taps_of(const float* weight, const Shape& s, std::int64_t group, Way way) {
  std::vector<float> taps(static_cast<std::size_t>(s.window() * s.width()));
  const float* from = weight + group * s.channels * s.window();
  const std::int64_t step = s.channels * s.width();  // from tap to tap
  for (std::int64_t i = 0; i < s.channels; ++i) {
    if (way == Way::kForward) {
      Transpose{from + i * s.kernel, s.window(),  taps.data() + i * s.width(), step,
                s.channels,          s.kernel}
          .run();
    } else {
      float* last = taps.data() + (s.kernel - 1) * step + i * s.width();
      Transpose{from + i * s.window(), s.kernel, last, -step, s.channels, s.kernel}.run();
    }
  }
  return taps;
}

/// The way back from the matrix of `taps_of`, forward.
void put_taps(const std::vector<float>& taps, const Shape& s, std::int64_t group, float* weight) {
  float* to = weight + group * s.channels * s.window();
  for (std::int64_t i = 0; i < s.channels; ++i) {
    Transpose{taps.data() + i * s.width(), s.channels * s.width(), to + i * s.kernel, s.window(),
              s.kernel,                    s.channels}
        .run();
  }
}

/// sums[t] += the window of frame t, times the taps. A few taps at a time, which stay in the cache.
void convolve(const std::vector<float>& frames, const std::vector<float>& taps, const Shape& s,
              std::vector<float>& sums) {
  constexpr std::int64_t kRows = 512;
  for (std::int64_t first = 0; first < s.window(); first += kRows) {
    floats::multiply_small({s.frames, s.width(), std::min(kRows, s.window() - first),
                            frames.data() + first, s.channels, 1,
                            taps.data() + first * s.width(), s.width(), sums.data(), s.width()});
  }
}

template <class Work>
void for_each_group(const Shape& s, const Work& work) {
  at::parallel_for(0, s.groups(), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t group = first; group < last; ++group) work(group);
  });
}

/// @param bias  may be null: zeros
at::Tensor run(const at::Tensor& x, const at::Tensor& weight, const float* bias, Way way) {
  const Shape s(x, weight);
  at::Tensor out = at::empty_like(x);
  // What lies before the first frame's own place in its window.
  const std::int64_t before = way == Way::kForward ? s.kernel / 2 : s.kernel - 1 - s.kernel / 2;
  for_each_group(s, [&](std::int64_t group) {
    const std::vector<float> taps = taps_of(weight.data_ptr<float>(), s, group, way);
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      const std::int64_t at = i * s.frames * s.dims;
      std::vector<float> sums(static_cast<std::size_t>(s.frames * s.width()));
      for (std::int64_t t = 0; bias != nullptr && t < s.frames; ++t) {
        std::copy_n(bias + group * s.channels, s.channels, sums.data() + t * s.width());
      }
      convolve(surrounded(x.data_ptr<float>() + at, s, group, before), taps, s, sums);
      for (std::int64_t t = 0; t < s.frames; ++t) {
        std::copy_n(sums.data() + t * s.width(), s.channels,
                    out.data_ptr<float>() + at + t * s.dims + group * s.channels);
      }
    }
  });
  return out;
}

at::Tensor weight_gradient(const at::Tensor& x, const at::Tensor& gradient,
                           const at::Tensor& weight) {
  const Shape s(x, weight);
  at::Tensor out = at::empty_like(weight);
  for_each_group(s, [&](std::int64_t group) {
    std::vector<float> sums(static_cast<std::size_t>(s.window() * s.width()));
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      const std::int64_t at = i * s.frames * s.dims;
      const std::vector<float> frames =
          surrounded(x.data_ptr<float>() + at, s, group, s.kernel / 2);
      std::vector<float> back(static_cast<std::size_t>(s.frames * s.width()));
      for (std::int64_t t = 0; t < s.frames; ++t) {
        std::copy_n(gradient.data_ptr<float>() + at + t * s.dims + group * s.channels, s.channels,
                    back.data() + t * s.width());
      }
      floats::multiply_small({s.window(), s.width(), s.frames, frames.data(), 1, s.channels,
                              back.data(), s.width(), sums.data(), s.width()});
    }
    put_taps(sums, s, group, out.data_ptr<float>());
  });
  return out;
}

struct GroupedConv : Function<GroupedConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return run(x, weight, bias.data_ptr<float>(), Way::kForward);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor back, weight_back, bias_back;
    if (context->needs_input_grad(0)) back = run(gradient, saved[1], nullptr, Way::kBackward);
    if (context->needs_input_grad(1)) weight_back = weight_gradient(saved[0], gradient, saved[1]);
    if (context->needs_input_grad(2)) bias_back = column_sums(gradient.flatten(0, 1));
    return {back, weight_back, bias_back};
  }
};

}  // namespace

at::Tensor grouped_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        std::int64_t groups) {
  TORCH_CHECK(weight.size(0) == x.size(2) && weight.size(1) * groups == x.size(2),
              "the weight of a grouped convolution does not fit its input");
  return GroupedConv::apply(x.contiguous(), weight.contiguous(), bias);
}

}  // namespace polyphony::nn
