// One query an item: with x the centered keys, w and b their norm's weight and bias, the score of
// key j in head h is (w * W_k,h^T q_h) . x_j, less what is the same for all keys, and the values'
// weighted mean is W_v,h (w * z + sum(p) b) + sum(p) b_v with z the mean of x weighted by p.
#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <polyphony/nn/attention.h>
#include <polyphony/nn/product.h>
#include <polyphony/nn/rows.h>
#include <polyphony/nn/saved.h>

namespace polyphony::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Rows of [items * heads, dims] that belong to one head, as a matrix [items, dims].
at::Tensor of_head(const at::Tensor& x, std::int64_t heads, std::int64_t head) {
  return x.view({-1, heads, x.size(1)}).select(1, head);
}
/// Columns of [items, dims] that belong to one head, as a matrix [items, head dims].
at::Tensor columns_of(const at::Tensor& x, std::int64_t heads, std::int64_t head) {
  const std::int64_t width = x.size(1) / heads;
  return x.narrow(1, head * width, width);
}
/// Rows of a projection [dims, dims] that belong to one head.
at::Tensor rows_of(const at::Tensor& x, std::int64_t heads, std::int64_t head) {
  const std::int64_t width = x.size(0) / heads;
  return x.narrow(0, head * width, width);
}

/// What the forward pass leaves for the backward one.
struct State {
  at::Tensor scaled_query;  // [items, dims], projected, over sqrt(head dims)
  at::Tensor absorbed;      // [items * heads, dims], W_k,h^T q_h
  at::Tensor weights;       // [key rows, heads], of attention before dropout
  at::Tensor mean;          // [items * heads, dims], z
  at::Tensor total;         // [items * heads], sum(p)
  AttentionLayouts layouts;
  AttentionOptions options;
};

/// Everything that is read and written of one item, by plain pointers.
template <class T>
class Item {
 public:
  Item(const State& state, const at::Tensor& centered, const at::Tensor& norm_weight,
       std::int64_t item)
      : state_(state),
        heads_(state.options.heads),
        dims_(centered.size(1)),
        first_(state.layouts.key->first_key(item)),
        keys_(visible_keys(*state.layouts.key, item, 0, state.options.is_causal)),
        item_(item),
        centered_(centered.data_ptr<T>() + first_ * dims_),
        buffer_(static_cast<std::size_t>(2 * dims_)),
        directions_(static_cast<std::size_t>(heads_ * dims_)),
        weights_(static_cast<std::size_t>(heads_ * keys_)),
        factors_(static_cast<std::size_t>(heads_ * keys_)) {
    for (std::int64_t head = 0; head < heads_; ++head) {
      floats::multiply(row_of(state.absorbed, head), norm_weight.data_ptr<float>(), dims_,
                       directions_.data() + head * dims_);
    }
    state.options.mask.factors(first_ * heads_, heads_ * keys_, factors_.data());
  }

  void forward() {
    score(directions_.data(), weights_.data());
    if (keys_ > 0) {
      for (std::int64_t head = 0; head < heads_; ++head)
        floats::softmax(line(weights_, head), keys_);
    }
    auto* kept = state_.weights.template data_ptr<float>() + first_ * heads_;
    std::copy(weights_.begin(), weights_.end(), kept);
    drop(weights_);
    for (std::int64_t head = 0; head < heads_; ++head) {
      float total = 0;
      for (std::int64_t key = 0; key < keys_; ++key) total += line(weights_, head)[key];
      state_.total.template data_ptr<float>()[item_ * heads_ + head] = total;
    }
    for (std::int64_t key = 0; key < keys_; ++key) {
      const float* x = key_at(key);
      for (std::int64_t head = 0; head < heads_; ++head) {
        floats::accumulate_scaled(x, line(weights_, head)[key], dims_, row_of(state_.mean, head));
      }
    }
  }

  /// @param mean_grad, total_grad  gradients of z and sum(p); @param direction_grad  where that of
  ///   w * absorbed goes, zeros before; @param centered_grad  where that of the keys goes
  void backward(const at::Tensor& mean_grad, const at::Tensor& total_grad,
                const at::Tensor& direction_grad, const at::Tensor& centered_grad) {
    const auto* kept = state_.weights.template data_ptr<float>() + first_ * heads_;
    weights_.assign(kept, kept + heads_ * keys_);
    std::vector<float> score_grad(weights_.size());
    score(row_of(mean_grad, 0), score_grad.data());
    for (std::int64_t head = 0; head < heads_; ++head) {
      const float total = total_grad.data_ptr<float>()[item_ * heads_ + head];
      for (std::int64_t key = 0; key < keys_; ++key) line(score_grad, head)[key] += total;
    }
    drop(score_grad);
    for (std::int64_t head = 0; head < heads_; ++head) {
      floats::softmax_backward(line(weights_, head), keys_, line(score_grad, head));
    }
    drop(weights_);
    for (std::int64_t key = 0; key < keys_; ++key) {
      T* to = centered_grad.data_ptr<T>() + (first_ + key) * dims_;
      float* sum = floats::place(to, buffer_.data() + dims_);
      std::fill_n(sum, dims_, 0.0F);
      const float* x = key_at(key);
      for (std::int64_t head = 0; head < heads_; ++head) {
        const float slope = line(score_grad, head)[key];
        floats::accumulate_scaled(x, slope, dims_, row_of(direction_grad, head));
        floats::accumulate_scaled(directions_.data() + head * dims_, slope, dims_, sum);
        floats::accumulate_scaled(row_of(mean_grad, head), line(weights_, head)[key], dims_, sum);
      }
      floats::put(sum, dims_, to);
    }
  }

 private:
  float* row_of(const at::Tensor& x, std::int64_t head) const {
    return x.data_ptr<float>() + (item_ * heads_ + head) * dims_;
  }
  float* line(std::vector<float>& x, std::int64_t head) const { return x.data() + head * keys_; }
  const float* key_at(std::int64_t key) {
    return floats::view(centered_ + key * dims_, dims_, buffer_.data());
  }
  void drop(std::vector<float>& x) const {
    floats::multiply(x.data(), factors_.data(), heads_ * keys_, x.data());
  }
  /// out[head][key] = rows[head] . key
  void score(const float* rows, float* out) {
    for (std::int64_t key = 0; key < keys_; ++key) {
      const float* x = key_at(key);
      for (std::int64_t head = 0; head < heads_; ++head) {
        out[head * keys_ + key] = floats::dot(rows + head * dims_, x, dims_);
      }
    }
  }

  const State& state_;
  std::int64_t heads_, dims_, first_, keys_, item_;
  const T* centered_;
  std::vector<float> buffer_, directions_, weights_, factors_;
};

/// Calls `work` with each item, on all threads.
template <class Work>
void for_each_item(const State& state, const at::Tensor& centered, const at::Tensor& norm_weight,
                   const Work& work) {
  visit_type(centered, [&](auto type) {
    at::parallel_for(0, state.layouts.key->batch(), 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        Item<decltype(type)> item(state, centered, norm_weight, i);
        work(item);
      }
    });
  });
}

/// w * z + sum(p) b, row by row.
at::Tensor normed_mean(const State& state, const at::Tensor& weight, const at::Tensor& bias) {
  return state.mean * weight + state.total.unsqueeze(1) * bias;
}

struct FirstAttention : Function<FirstAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& centered, const at::Tensor& norm_weight,
                            const at::Tensor& norm_bias, const at::Tensor& in_weight,
                            const at::Tensor& in_bias, const AttentionLayouts& layouts,
                            const AttentionOptions& options) {
    const std::int64_t dims = query.size(1);
    const std::int64_t rows = query.size(0) * options.heads;
    State state;
    state.layouts = layouts;
    state.options = options;
    const double scale = 1.0 / std::sqrt(static_cast<double>(dims / options.heads));
    state.scaled_query =
        multiply_add(query, in_weight.narrow(0, 0, dims), in_bias.narrow(0, 0, dims)).mul_(scale);
    state.absorbed = at::empty({rows, dims}, query.options());
    const at::Tensor key_weight = in_weight.narrow(0, dims, dims);
    for (std::int64_t head = 0; head < options.heads; ++head) {
      multiply(columns_of(state.scaled_query, options.heads, head),
               rows_of(key_weight, options.heads, head),
               of_head(state.absorbed, options.heads, head));
    }
    state.weights = at::empty({centered.size(0), options.heads}, query.options());
    state.mean = at::zeros({rows, dims}, query.options());
    state.total = at::empty({rows}, query.options());
    for_each_item(state, centered, norm_weight, [](auto& item) { item.forward(); });

    const at::Tensor mean = normed_mean(state, norm_weight, norm_bias);
    const at::Tensor value_weight = in_weight.narrow(0, 2 * dims, dims);
    at::Tensor out = at::empty_like(query);
    for (std::int64_t head = 0; head < options.heads; ++head) {
      multiply(of_head(mean, options.heads, head), rows_of(value_weight, options.heads, head).t(),
               columns_of(out, options.heads, head));
    }
    out.view({-1, options.heads, dims / options.heads})
        .addcmul_(state.total.view({-1, options.heads, 1}),
                  in_bias.narrow(0, 2 * dims, dims).view({1, options.heads, -1}));
    context->save_for_backward({query, centered, norm_weight, norm_bias, in_weight, in_bias});
    keep(context, std::move(state));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const State state = kept<State>(context);
    release(context);
    const at::Tensor &query = saved[0], &centered = saved[1];
    const at::Tensor &norm_weight = saved[2], &norm_bias = saved[3];
    const at::Tensor &in_weight = saved[4], &in_bias = saved[5];
    const std::int64_t dims = query.size(1);
    const std::int64_t heads = state.options.heads;
    const at::Tensor gradient = gradients[0].contiguous();
    const auto part = [&](const at::Tensor& x, std::int64_t i) {
      return x.narrow(0, i * dims, dims);
    };
    at::Tensor weight_grad = at::empty_like(in_weight);
    at::Tensor bias_grad = at::zeros({3 * dims}, query.options());

    // Through the values' projection to their weighted mean.
    const at::Tensor mean = normed_mean(state, norm_weight, norm_bias);
    at::Tensor normed_grad = at::empty_like(mean);
    for (std::int64_t head = 0; head < heads; ++head) {
      const at::Tensor columns = columns_of(gradient, heads, head);
      multiply(columns.t(), of_head(mean, heads, head), rows_of(part(weight_grad, 2), heads, head));
      multiply(columns, rows_of(part(in_weight, 2), heads, head),
               of_head(normed_grad, heads, head));
    }
    const at::Tensor by_head = gradient.view({-1, heads, dims / heads});
    const at::Tensor value_bias = part(in_bias, 2).view({1, heads, -1});
    part(bias_grad, 2).copy_((by_head * state.total.view({-1, heads, 1})).sum(0).view({dims}));
    const at::Tensor total_grad =
        ((by_head * value_bias).sum(2).view({-1}) + normed_grad.matmul(norm_bias)).contiguous();
    at::Tensor norm_weight_grad = (normed_grad * state.mean).sum(0);
    const at::Tensor norm_bias_grad = state.total.unsqueeze(0).matmul(normed_grad).view({dims});

    // Through attention to the keys.
    const at::Tensor mean_grad = (normed_grad * norm_weight).contiguous();
    at::Tensor direction_grad = at::zeros_like(mean_grad);
    at::Tensor centered_grad = at::zeros_like(centered);
    for_each_item(state, centered, norm_weight, [&](auto& item) {
      item.backward(mean_grad, total_grad, direction_grad, centered_grad);
    });
    norm_weight_grad += (direction_grad * state.absorbed).sum(0);
    const at::Tensor absorbed_grad = direction_grad * norm_weight;

    // Through the absorbed projection to the query. The keys' bias changes nothing.
    at::Tensor projected_grad = at::empty_like(query);
    for (std::int64_t head = 0; head < heads; ++head) {
      const at::Tensor rows = of_head(absorbed_grad, heads, head);
      multiply(columns_of(state.scaled_query, heads, head).t(), rows,
               rows_of(part(weight_grad, 1), heads, head));
      multiply(rows, rows_of(part(in_weight, 1), heads, head).t(),
               columns_of(projected_grad, heads, head));
    }
    projected_grad.mul_(1.0 / std::sqrt(static_cast<double>(dims / heads)));
    multiply(projected_grad.t(), query, part(weight_grad, 0));
    part(bias_grad, 0).copy_(column_sums(projected_grad));
    return {multiply(projected_grad, part(in_weight, 0), at::kFloat),
            centered_grad,
            norm_weight_grad,
            norm_bias_grad,
            weight_grad,
            bias_grad,
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor first_attention(const at::Tensor& query, const at::Tensor& centered,
                           const AttentionWeights& weights, const AttentionLayouts& layouts,
                           const AttentionOptions& options) {
  return FirstAttention::apply(query.contiguous(), centered.contiguous(), weights.norm_weight,
                               weights.norm_bias, weights.in_weight, weights.in_bias, layouts,
                               options);
}

}  // namespace polyphony::nn
