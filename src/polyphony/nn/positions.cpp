#include <polyphony/nn/positions.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <polyphony/nn/rows.h>
#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// float [positions, head dims / 2]
at::Tensor rotary_angles(std::int64_t positions, std::int64_t dims, const at::Device& device) {
  const auto options = torch::dtype(torch::kFloat).device(device);
  const at::Tensor exponents = torch::arange(0, dims, 2, options) / static_cast<double>(dims);
  const at::Tensor rates = torch::pow(10000.0, exponents).reciprocal();
  return torch::outer(torch::arange(positions, options), rates);
}

/// Rows of numbers. @param numbers  float [...] @return float [..., dims]
at::Tensor sinusoids(const at::Tensor& numbers, std::int64_t dims) {
  const std::int64_t half = dims / 2;
  const double step = std::log(10000.0) / std::max<double>(1.0, static_cast<double>(half - 1));
  const at::Tensor rates = torch::exp(torch::arange(half, numbers.options()) * -step);
  const at::Tensor angles = numbers.unsqueeze(-1) * rates;
  const at::Tensor table = torch::cat({angles.sin(), angles.cos()}, -1);
  return dims % 2 == 1 ? torch::constant_pad_nd(table, {0, 1}) : table;
}

}  // namespace

/// What a row is multiplied by and added to, by position or number.
struct PositionEmbedding::Tables {
  PositionForm form;
  std::int64_t dims, heads;
  float scale;
  std::int64_t length = 0;
  at::Tensor cosines;  // rotary: [positions, head dims], each angle twice, times scale
  at::Tensor sines;    // rotary: the same with signs: -, +
  at::Tensor numbers;  // sinusoidal: [positions + 1, dims]; row 0 is padding's, zeros

  void reach(std::int64_t positions) {
    if (positions <= length) return;
    const at::NoGradGuard no_grad;
    length = positions;
    if (form == PositionForm::kSinusoidal) {
      numbers = sinusoids(torch::arange(length + 1, torch::kFloat), dims);
      numbers[0].zero_();
      return;
    }
    const at::Tensor angles = rotary_angles(length, dims / heads, torch::kCPU);
    const at::Tensor sine = angles.sin() * scale;
    cosines = (angles.cos() * scale).repeat_interleave(2, 1).contiguous();
    sines = torch::stack({-sine, sine}, 2).reshape(cosines.sizes()).contiguous();
  }
};

namespace {

using Tables = PositionEmbedding::Tables;

/// Which row of the table of numbers belongs to each row of x.
template <class T>
std::vector<std::int64_t> numbers_of(const at::Tensor& x, const Packed& layout) {
  std::vector<std::int64_t> numbers(layout.positions.size());
  const std::int64_t dims = x.size(1);
  for (std::int64_t item = 0; item < layout.batch(); ++item) {
    std::int64_t skipped = 0;
    for (std::int64_t row = layout.begin[static_cast<std::size_t>(item)]; row < layout.end(item);
         ++row) {
      const auto r = static_cast<std::size_t>(row);
      const bool padding = static_cast<float>(x.data_ptr<T>()[row * dims]) == 0.0F;
      if (padding) ++skipped;
      numbers[r] = padding ? 0 : layout.positions[r] + 1 - skipped;
    }
  }
  return numbers;
}

struct Embedded {
  std::shared_ptr<const Tables> tables;
  Layout layout;
  DropoutMask mask;
};

/// A row's rotation, or its transpose, as the gradient needs it.
void rotate_row(const Embedded& e, const float* x, std::int64_t position, bool transposed,
                float* out) {
  const std::int64_t width = e.tables->dims / e.tables->heads;
  const float* cosines = e.tables->cosines.data_ptr<float>() + position * width;
  const float* sines = e.tables->sines.data_ptr<float>() + position * width;
  for (std::int64_t head = 0; head < e.tables->heads; ++head) {
    const std::int64_t at = head * width;
    if (transposed) {
      floats::rotate_backward(x + at, cosines, sines, width, out + at);
    } else {
      floats::rotate(x + at, cosines, sines, width, out + at);
    }
  }
}

struct Embed : Function<Embed> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Embedded& e) {
    keep(context, e);
    const bool rotary = e.tables->form == PositionForm::kRotary;
    const std::int64_t dims = x.size(1);
    at::Tensor out = at::empty_like(x);
    visit_type(x, [&](auto type) {
      using T = decltype(type);
      const auto numbers = rotary ? e.layout->positions : numbers_of<T>(x, *e.layout);
      for_row_blocks(x.size(0), [&](std::int64_t first, std::int64_t last) {
        std::vector<float> scratch(static_cast<std::size_t>(3 * dims));
        float* factors = scratch.data() + 2 * dims;
        for (std::int64_t row = first; row < last; ++row) {
          const std::int64_t number = numbers[static_cast<std::size_t>(row)];
          T* to = out.data_ptr<T>() + row * dims;
          const float* line = floats::view(x.data_ptr<T>() + row * dims, dims, scratch.data());
          float* target = floats::place(to, scratch.data() + dims);
          if (rotary) {
            rotate_row(e, line, number, /*transposed=*/false, target);
          } else {
            const float* table = e.tables->numbers.template data_ptr<float>() + number * dims;
            std::copy_n(table, dims, target);
            floats::accumulate_scaled(line, e.tables->scale, dims, target);
          }
          if (e.mask.active()) {
            e.mask.factors(row * dims, dims, factors);
            floats::multiply(target, factors, dims, target);
          }
          floats::put(target, dims, to);
        }
      });
    });
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto& e = kept<Embedded>(context);
    const at::Tensor gradient = gradients[0].contiguous();
    const std::int64_t dims = gradient.size(1);
    at::Tensor out = at::empty_like(gradient);
    visit_type(gradient, [&](auto type) {
      using T = decltype(type);
      for_row_blocks(gradient.size(0), [&](std::int64_t first, std::int64_t last) {
        std::vector<float> scratch(static_cast<std::size_t>(3 * dims));
        float* dropped = scratch.data() + 2 * dims;
        for (std::int64_t row = first; row < last; ++row) {
          T* to = out.data_ptr<T>() + row * dims;
          const float* g = floats::view(gradient.data_ptr<T>() + row * dims, dims, scratch.data());
          e.mask.factors(row * dims, dims, dropped);
          floats::multiply(g, dropped, dims, dropped);
          float* target = floats::place(to, scratch.data() + dims);
          if (e.tables->form == PositionForm::kRotary) {
            rotate_row(e, dropped, e.layout->positions[static_cast<std::size_t>(row)],
                       /*transposed=*/true, target);
          } else {
            floats::scale(dropped, e.tables->scale, dims, target);
          }
          floats::put(target, dims, to);
        }
      });
    });
    return {out, {}};
  }
};

}  // namespace

PositionEmbedding::PositionEmbedding(PositionForm form, std::int64_t dims, std::int64_t heads,
                                     double scale)
    : tables_(std::make_shared<Tables>()) {
  tables_->form = form;
  tables_->dims = dims;
  tables_->heads = heads;
  tables_->scale = static_cast<float>(scale);
}

PositionEmbedding::~PositionEmbedding() = default;

at::Tensor PositionEmbedding::forward(const at::Tensor& x, const Layout& layout,
                                      const DropoutMask& mask) {
  tables_->reach(layout->length);
  return Embed::apply(x.contiguous(), Embedded{tables_, layout, mask});
}

at::Tensor rotate_positions(const at::Tensor& x) {
  const at::Tensor angles = rotary_angles(x.size(1), x.size(3), x.device());
  const at::Tensor cosine = angles.cos().unsqueeze(1).to(x.dtype());
  const at::Tensor sine = angles.sin().unsqueeze(1).to(x.dtype());
  const at::Tensor pairs = x.reshape({x.size(0), x.size(1), x.size(2), x.size(3) / 2, 2});
  const at::Tensor even = pairs.select(4, 0);
  const at::Tensor odd = pairs.select(4, 1);
  return torch::stack({even * cosine - odd * sine, odd * cosine + even * sine}, 4)
      .reshape(x.sizes());
}

at::Tensor sinusoidal_positions(const at::Tensor& marks, std::int64_t dims) {
  const at::Tensor real = marks.detach().ne(0);
  const at::Tensor numbers = real.to(torch::kFloat).cumsum(1) * real;
  return (sinusoids(numbers, dims) * real.unsqueeze(2)).to(marks.dtype());
}

}  // namespace polyphony::nn
