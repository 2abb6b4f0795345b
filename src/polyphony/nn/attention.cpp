#include <polyphony/nn/attention.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/product.h>
#include <polyphony/nn/rows.h>
#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr std::int64_t kQueryBlock = 64;  // queries whose weights of attention are held at a time

/// Rows of one item and head as floats, padded with zeros to a multiple of 16 columns.
class Panel {
 public:
  void resize(std::int64_t rows, std::int64_t columns) {
    rows_ = rows;
    columns_ = columns;
    width_ = floats::padded(columns);
    data_.assign(static_cast<std::size_t>(rows * width_), 0.0F);
  }
  /// @param step  from row to row of `from`
  template <class T>
  void load(const T* from, std::int64_t step, std::int64_t rows, std::int64_t columns,
            float scale = 1.0F) {
    resize(rows, columns);
    for (std::int64_t row = 0; row < rows; ++row) {
      float* to = line(row);
      const float* wide = floats::view(from + row * step, columns, to);
      floats::scale(wide, scale, columns, to);
    }
  }
  void load_transposed(const Panel& from) {
    resize(from.columns_, from.rows_);
    for (std::int64_t row = 0; row < from.rows_; ++row) {
      const float* source = from.line(row);
      for (std::int64_t i = 0; i < from.columns_; ++i) line(i)[row] = source[i];
    }
  }
  template <class T>
  void store(T* to, std::int64_t step, std::vector<float>& buffer, float scale = 1.0F) const {
    buffer.resize(static_cast<std::size_t>(width_));
    for (std::int64_t row = 0; row < rows_; ++row) {
      float* place = floats::place(to + row * step, buffer.data());
      floats::scale(line(row), scale, columns_, place);
      floats::put(place, columns_, to + row * step);
    }
  }
  float* line(std::int64_t row) { return data_.data() + row * width_; }
  const float* line(std::int64_t row) const { return data_.data() + row * width_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t width() const { return width_; }

 private:
  std::int64_t rows_ = 0, columns_ = 0, width_ = 0;
  std::vector<float> data_;
};

/// c += a b
void add_product(const Panel& a, const Panel& b, Panel& c) {
  floats::multiply_small({c.rows(), b.width(), b.rows(), a.line(0), a.width(), 1, b.line(0),
                          b.width(), c.line(0), c.width()});
}
/// c += a^T b
void add_product_transposed(const Panel& a, const Panel& b, Panel& c) {
  floats::multiply_small({c.rows(), b.width(), b.rows(), a.line(0), 1, a.width(), b.line(0),
                          b.width(), c.line(0), c.width()});
}

/// Projected queries, keys and values, and where they lie.
struct Projected {
  at::Tensor query;       // [query rows, dims]
  at::Tensor key, value;  // [key rows, dims]; rows may lie in a wider matrix
  AttentionLayouts layouts;
  AttentionOptions options;
  std::int64_t mask_width = 0;  // elements that the mask numbers for a query and head

  std::int64_t dims() const { return query.size(1); }
  std::int64_t head_dims() const { return dims() / options.heads; }
  std::int64_t batch() const { return layouts.query->batch(); }
  float scale() const { return 1.0F / std::sqrt(static_cast<float>(head_dims())); }
};

Projected projected(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                    const AttentionLayouts& layouts, const AttentionOptions& options) {
  return {query, key, value, layouts, options, floats::padded(layouts.key->longest())};
}

/// Gradients of projected queries, keys and values, laid out as they are.
struct Gradients {
  at::Tensor query, key, value;
};

/// The work of one item and head; its memory serves one after the other.
template <class T>
class Head {
 public:
  explicit Head(const Projected& p) : p_(p) {}

  void select(std::int64_t item, std::int64_t head) {
    item_ = item;
    head_ = head;
    first_query_ = p_.layouts.query->begin[static_cast<std::size_t>(item)];
    queries_ = p_.layouts.query->end(item) - first_query_;
    first_key_ = p_.layouts.key->first_key(item);
    keys_ = p_.layouts.key->end(item) - first_key_;
    column_ = head * p_.head_dims();
  }

  void forward(const at::Tensor& out) {
    load_keys();
    load(value_, p_.value, first_key_, keys_);
    for (std::int64_t first = 0; first < queries_; first += kQueryBlock) {
      const std::int64_t rows = compute_weights(first);
      if (keys_ > 0 && p_.options.mask.active()) multiply_all(weights_, draw(first), weights_);
      result_.resize(rows, p_.head_dims());
      if (keys_ > 0) add_product(weights_, value_, result_);
      store(result_, out, first_query_ + first);
    }
  }

  /// @param gradient  of what `forward` wrote
  void backward(const at::Tensor& gradient, const Gradients& grads) {
    load_keys();
    load(value_, p_.value, first_key_, keys_);
    value_columns_.load_transposed(value_);
    key_grad_.resize(keys_, p_.head_dims());
    value_grad_.resize(keys_, p_.head_dims());
    for (std::int64_t first = 0; first < queries_; first += kQueryBlock) {
      const std::int64_t rows = compute_weights(first);
      load(result_, gradient, first_query_ + first, rows);
      block_backward(first, rows);
      query_grad_.resize(rows, p_.head_dims());
      if (keys_ > 0) add_product(score_grad_, key_, query_grad_);
      store(query_grad_, grads.query, first_query_ + first, p_.scale());
    }
    store(key_grad_, grads.key, first_key_);
    store(value_grad_, grads.value, first_key_);
  }

 private:
  T* data(const at::Tensor& x, std::int64_t row) const {
    return x.data_ptr<T>() + row * x.stride(0) + column_;
  }
  /// The head's columns of some rows of `x`.
  void load(Panel& panel, const at::Tensor& x, std::int64_t row, std::int64_t rows,
            float scale = 1.0F) const {
    panel.load(data(x, row), x.stride(0), rows, p_.head_dims(), scale);
  }
  void store(const Panel& panel, const at::Tensor& x, std::int64_t row, float scale = 1.0F) {
    panel.store(data(x, row), x.stride(0), buffer_, scale);
  }
  void load_keys() {
    load(key_, p_.key, first_key_, keys_);
    key_columns_.load_transposed(key_);
  }
  /// Weights of attention of a block of queries, before dropout. @return its queries
  std::int64_t compute_weights(std::int64_t first) {
    const std::int64_t rows = std::min(kQueryBlock, queries_ - first);
    load(query_, p_.query, first_query_ + first, rows, p_.scale());
    weights_.resize(rows, keys_);
    if (keys_ == 0) return rows;
    add_product(query_, key_columns_, weights_);
    for (std::int64_t row = 0; row < rows; ++row) {
      float* line = weights_.line(row);
      const std::int64_t position =
          p_.layouts.query->positions[static_cast<std::size_t>(first_query_ + first + row)];
      const std::int64_t seen =
          visible_keys(*p_.layouts.key, item_, position, p_.options.is_causal);
      if (seen > 0) floats::softmax(line, seen);
      std::fill(line + seen, line + weights_.width(), 0.0F);
    }
    return rows;
  }
  /// What dropout multiplies the block's weights by, laid out as they are.
  const float* draw(std::int64_t first) {
    const std::int64_t elements = weights_.rows() * weights_.width();
    factors_.resize(static_cast<std::size_t>(elements));
    const std::int64_t row = first_query_ * p_.options.heads + head_ * queries_ + first;
    p_.options.mask.factors(row * p_.mask_width, elements, factors_.data());
    return factors_.data();
  }
  void multiply_all(const Panel& a, const float* factors, Panel& out) const {
    floats::multiply(a.line(0), factors, a.rows() * a.width(), out.line(0));
  }
  /// From the block's gradient in `result_`: adds to key_grad_ and value_grad_, fills score_grad_.
  void block_backward(std::int64_t first, std::int64_t rows) {
    score_grad_.resize(rows, keys_);
    if (keys_ == 0) return;
    add_product(result_, value_columns_, score_grad_);
    const bool drops = p_.options.mask.active();
    if (drops) {
      const float* factors = draw(first);
      dropped_.resize(rows, keys_);
      multiply_all(weights_, factors, dropped_);
      multiply_all(score_grad_, factors, score_grad_);
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      floats::softmax_backward(weights_.line(row), keys_, score_grad_.line(row));
    }
    add_product_transposed(drops ? dropped_ : weights_, result_, value_grad_);
    add_product_transposed(score_grad_, query_, key_grad_);
  }

  const Projected& p_;
  std::int64_t item_ = 0, head_ = 0, column_ = 0;
  std::int64_t first_query_ = 0, queries_ = 0, first_key_ = 0, keys_ = 0;
  Panel key_, key_columns_, value_, value_columns_, query_, weights_, dropped_, result_,
      score_grad_, query_grad_, key_grad_, value_grad_;
  std::vector<float> factors_, buffer_;
};

/// Calls `work` with all items and heads; a thread that is free takes the next one.
template <class T, class Work>
void for_each_head(const Projected& p, const Work& work) {
  const std::int64_t all = p.batch() * p.options.heads;
  std::atomic<std::int64_t> next{0};
  const std::int64_t threads = std::min<std::int64_t>(at::get_num_threads(), all);
  at::parallel_for(0, threads, 1, [&](std::int64_t, std::int64_t) {
    Head<T> head(p);
    for (std::int64_t i = next++; i < all; i = next++) {
      head.select(i / p.options.heads, i % p.options.heads);
      work(head);
    }
  });
}

at::Tensor run(const Projected& p) {
  at::Tensor out = at::empty_like(p.query);
  visit_type(out, [&](auto type) {
    using T = decltype(type);
    for_each_head<T>(p, [&](Head<T>& head) { head.forward(out); });
  });
  return out;
}

/// Fills `grads`. @param gradient  of the result of `run`
void run_backward(const Projected& p, const at::Tensor& gradient, const Gradients& grads) {
  const Packed& layout = *p.layouts.key;
  for (std::int64_t item = 0; item < layout.batch(); ++item) {
    const auto i = static_cast<std::size_t>(item);
    if (!layout.hidden[i]) continue;  // no query attends to it
    grads.key.select(0, layout.begin[i]).zero_();
    grads.value.select(0, layout.begin[i]).zero_();
  }
  visit_type(gradient, [&](auto type) {
    using T = decltype(type);
    for_each_head<T>(p, [&](Head<T>& head) { head.backward(gradient, grads); });
  });
}

struct Attend : Function<Attend> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& key, const at::Tensor& value,
                            const AttentionLayouts& layouts, const AttentionOptions& options) {
    context->save_for_backward({query, key, value});
    const Projected p = projected(query, key, value, layouts, options);
    keep(context, std::make_pair(layouts, options));
    return run(p);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& [layouts, options] = kept<std::pair<AttentionLayouts, AttentionOptions>>(context);
    const Gradients grads{at::empty_like(saved[0]), at::empty_like(saved[1]),
                          at::empty_like(saved[2])};
    run_backward(projected(saved[0], saved[1], saved[2], layouts, options),
                 gradients[0].contiguous(), grads);
    return {grads.query, grads.key, grads.value, {}, {}};
  }
};

/// The keys' layer norm: centered * weight + bias, of centered's type.
at::Tensor normed(const at::Tensor& centered, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor out = at::empty_like(centered);
  const std::int64_t dims = centered.size(1);
  visit_type(centered, [&](auto type) {
    using T = decltype(type);
    for_row_blocks(centered.size(0), [&](std::int64_t first, std::int64_t last) {
      std::vector<float> buffer(static_cast<std::size_t>(2 * dims));
      for (std::int64_t row = first; row < last; ++row) {
        T* to = out.data_ptr<T>() + row * dims;
        float* line = floats::place(to, buffer.data());
        floats::affine(
            floats::view(centered.data_ptr<T>() + row * dims, dims, buffer.data() + dims),
            weight.data_ptr<float>(), bias.data_ptr<float>(), dims, line);
        floats::put(line, dims, to);
      }
    });
  });
  return out;
}

/// Its gradient. `gradient` becomes that of centered. @return those of weight and bias
at::Tensor normed_backward(const at::Tensor& gradient, const at::Tensor& centered,
                           const at::Tensor& weight) {
  const std::int64_t dims = centered.size(1);
  return visit_type(gradient, [&](auto type) {
    using T = decltype(type);
    return sum_over_rows(
        gradient.size(0), 2 * dims, 3 * dims, [&](std::int64_t row, float* sums, float* scratch) {
          T* to = gradient.data_ptr<T>() + row * dims;
          const float* g = floats::view(to, dims, scratch);
          floats::accumulate_product(
              g, floats::view(centered.data_ptr<T>() + row * dims, dims, scratch + dims), dims,
              sums);
          floats::accumulate(g, dims, sums + dims);
          float* line = floats::place(to, scratch + 2 * dims);
          floats::multiply(g, weight.data_ptr<float>(), dims, line);
          floats::put(line, dims, to);
        });
  });
}

struct Attention : Function<Attention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& centered, const at::Tensor& norm_weight,
                            const at::Tensor& norm_bias, const at::Tensor& in_weight,
                            const at::Tensor& in_bias, const AttentionLayouts& layouts,
                            const AttentionOptions& options) {
    const std::int64_t dims = query.size(1);
    const at::Tensor typed = in_weight.detach().to(query.scalar_type());
    const at::Tensor key_value =
        multiply_add(normed(centered, norm_weight, norm_bias), typed.narrow(0, dims, 2 * dims),
                     in_bias.narrow(0, dims, 2 * dims));
    Projected p =
        projected(multiply_add(query, typed.narrow(0, 0, dims), in_bias.narrow(0, 0, dims)),
                  key_value.narrow(1, 0, dims), key_value.narrow(1, dims, dims), layouts, options);
    at::Tensor out = run(p);
    context->save_for_backward({query, centered, norm_weight, norm_bias, typed});
    keep(context, std::move(p));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Projected p = kept<Projected>(context);
    release(context);
    const at::Tensor& typed = saved[4];
    const at::Tensor gradient = gradients[0].contiguous();
    const std::int64_t dims = p.dims();
    at::Tensor query_grad = at::empty_like(p.query);
    const at::Tensor key_value_grad = at::empty({p.key.size(0), 2 * dims}, p.key.options());
    run_backward(
        p, gradient,
        {query_grad, key_value_grad.narrow(1, 0, dims), key_value_grad.narrow(1, dims, dims)});
    at::Tensor weight_grad = at::empty({3 * dims, dims}, at::kFloat);
    at::Tensor bias_grad = at::empty({3 * dims}, at::kFloat);
    multiply(query_grad.t(), saved[0], weight_grad.narrow(0, 0, dims));
    multiply(key_value_grad.t(), normed(saved[1], saved[2], saved[3]),
             weight_grad.narrow(0, dims, 2 * dims));
    bias_grad.narrow(0, 0, dims).copy_(column_sums(query_grad));
    bias_grad.narrow(0, dims, 2 * dims).copy_(column_sums(key_value_grad));
    const at::Tensor input_grad =
        multiply(query_grad, typed.narrow(0, 0, dims), query_grad.scalar_type());
    query_grad.reset();
    const at::Tensor key_grad =
        multiply(key_value_grad, typed.narrow(0, dims, 2 * dims), key_value_grad.scalar_type());
    const at::Tensor sums = normed_backward(key_grad, saved[1], saved[2]);
    return {input_grad,
            key_grad,
            sums.narrow(0, 0, dims),
            sums.narrow(0, dims, dims),
            weight_grad,
            bias_grad,
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

std::int64_t visible_keys(const Packed& key, std::int64_t item, std::int64_t position,
                          bool is_causal) {
  const std::int64_t first = key.first_key(item);
  const std::int64_t end = key.end(item);
  if (!is_causal) return end - first;
  const auto begin = key.positions.begin();
  return std::upper_bound(begin + first, begin + end, position) - (begin + first);
}

at::Tensor attention(const at::Tensor& query, const at::Tensor& centered,
                     const AttentionWeights& weights, const AttentionLayouts& layouts,
                     const AttentionOptions& options) {
  return Attention::apply(query.contiguous(), centered.contiguous(), weights.norm_weight,
                          weights.norm_bias, weights.in_weight, weights.in_bias, layouts, options);
}

at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                  const AttentionLayouts& layouts, const AttentionOptions& options) {
  return Attend::apply(query.contiguous(), key.contiguous(), value.contiguous(), layouts, options);
}

}  // namespace polyphony::nn
