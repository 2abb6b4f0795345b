#include <polyphony/nn/packed.h>

#include <algorithm>
#include <stdexcept>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// How many positions beside a row go with it.
struct Reach {
  Layout layout;
  int side = 0;
};

/// Calls `visit(row, item, position)` for every row, items on all threads.
template <class Visit>
void for_each_row(const Packed& layout, const Visit& visit) {
  at::parallel_for(0, layout.batch(), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t item = first; item < last; ++item) {
      for (std::int64_t row = layout.begin[static_cast<std::size_t>(item)]; row < layout.end(item);
           ++row) {
        visit(row, item, layout.positions[static_cast<std::size_t>(row)]);
      }
    }
  });
}

/// Rows of `x` [batch, length, dims], with what stands beside them.
at::Tensor take(const at::Tensor& x, const Reach& reach) {
  const at::Tensor source = x.contiguous();
  const std::int64_t length = x.size(1);
  const std::int64_t dims = x.size(2);
  const std::int64_t width = 2 * reach.side + 1;
  at::Tensor out = at::empty({reach.layout->rows(), dims * width}, x.options());
  const auto* from = source.data_ptr<float>();
  auto* to = out.data_ptr<float>();
  for_each_row(*reach.layout, [&](std::int64_t row, std::int64_t item, std::int64_t position) {
    for (std::int64_t tap = 0; tap < width; ++tap) {
      const std::int64_t place = position + tap - reach.side;
      float* line = to + row * dims * width + tap;
      if (place < 0 || place >= length) {
        for (std::int64_t i = 0; i < dims; ++i) line[i * width] = 0.0F;
        continue;
      }
      const float* source_line = from + (item * length + place) * dims;
      for (std::int64_t i = 0; i < dims; ++i) line[i * width] = source_line[i];
    }
  });
  return out;
}

/// The transpose of `take`: each of its elements is added to where it was taken from.
at::Tensor put(const at::Tensor& rows, const Reach& reach) {
  const std::int64_t length = reach.layout->length;
  const std::int64_t width = 2 * reach.side + 1;
  const at::Tensor source = rows.contiguous();
  const std::int64_t dims = rows.size(1) / width;
  at::Tensor out = at::zeros({reach.layout->batch(), length, dims}, rows.options());
  const auto* from = source.data_ptr<float>();
  auto* to = out.data_ptr<float>();
  for_each_row(*reach.layout, [&](std::int64_t row, std::int64_t item, std::int64_t position) {
    for (std::int64_t tap = 0; tap < width; ++tap) {
      const std::int64_t place = position + tap - reach.side;
      if (place < 0 || place >= length) continue;
      const float* line = from + row * dims * width + tap;
      float* target = to + (item * length + place) * dims;
      for (std::int64_t i = 0; i < dims; ++i) target[i] += line[i * width];
    }
  });
  return out;
}

struct Gather : Function<Gather> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Reach& reach) {
    keep(context, reach);
    return take(x, reach);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {put(gradients[0], kept<Reach>(context)), {}};
  }
};

struct Spread : Function<Spread> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows, const Reach& reach) {
    keep(context, reach);
    return put(rows, reach);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {take(gradients[0], kept<Reach>(context)), {}};
  }
};

at::Tensor gather(const at::Tensor& x, const Layout& layout, int side) {
  if (x.dim() != 3 || x.scalar_type() != at::kFloat || x.size(0) != layout->batch() ||
      x.size(1) != layout->length) {
    throw std::invalid_argument(fmt::format(
        "a packed batch of {} sequences of {} positions is gathered from float32 [{}, {}, dims]",
        layout->batch(), layout->length, layout->batch(), layout->length));
  }
  return Gather::apply(x, Reach{layout, side});
}

}  // namespace

std::int64_t Packed::longest() const {
  std::int64_t most = 0;
  for (std::int64_t item = 0; item < batch(); ++item) {
    most = std::max(most, end(item) - begin[static_cast<std::size_t>(item)]);
  }
  return most;
}

Layout pack(const at::Tensor& padding, std::int64_t batch, std::int64_t positions) {
  if (padding.defined() && (padding.dim() != 2 || padding.size(0) != batch ||
                            padding.size(1) != positions || padding.scalar_type() != at::kBool)) {
    throw std::invalid_argument(fmt::format(
        "the padding of {} sequences of {} positions is bool [{}, {}], true where padding", batch,
        positions, batch, positions));
  }
  const at::Tensor marks = padding.defined() ? padding.contiguous() : padding;
  const bool* mark = marks.defined() ? marks.data_ptr<bool>() : nullptr;
  auto layout = std::make_shared<Packed>();
  layout->length = positions;
  for (std::int64_t item = 0; item < batch; ++item) {
    layout->begin.push_back(static_cast<std::int64_t>(layout->positions.size()));
    layout->hidden.push_back(mark != nullptr && mark[item * positions]);
    for (std::int64_t position = 0; position < positions; ++position) {
      if (position > 0 && mark != nullptr && mark[item * positions + position]) continue;
      layout->positions.push_back(position);
    }
  }
  layout->begin.push_back(static_cast<std::int64_t>(layout->positions.size()));
  return layout;
}

Layout first_positions(std::int64_t batch) { return pack({}, batch, 1); }

at::Tensor gather_rows(const at::Tensor& x, const Layout& layout) { return gather(x, layout, 0); }

at::Tensor spread_rows(const at::Tensor& rows, const Layout& layout) {
  return Spread::apply(rows, Reach{layout, 0});
}

at::Tensor gather_windows(const at::Tensor& x, const Layout& layout) {
  return gather(x, layout, 1);
}

}  // namespace polyphony::nn
