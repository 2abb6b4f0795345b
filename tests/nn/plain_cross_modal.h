#pragma once

#include <cmath>
#include <map>
#include <string>

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <polyphony/nn/cross_modal_transformer.h>

// The cross-modal transformer as it is written down: every position of every layer, one operation
// of LibTorch after the other, in any floating type. What the fast one is compared with.

namespace polyphony::nn {

/// ReLU that cuts at a share of its largest input, a little above or below 0.
inline at::Tensor relu(const at::Tensor& x, double cut) {
  return at::where(x > x.detach().abs().max() * cut, x, at::zeros_like(x));
}

class PlainCrossModal {
 public:
  /// Parameters of the same names are read from `network`, as tensors that are leaves of their own.
  PlainCrossModal(const CrossModalTransformerOptions& options, const torch::nn::Module& network,
                  at::ScalarType type)
      : options_(options) {
    for (const auto& item : network.named_parameters()) {
      parameters_[item.key()] = item.value().detach().to(type).clone().requires_grad_(true);
    }
  }

  at::Tensor forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& padding) {
    at::Tensor x = embed(query);
    const at::Tensor embedded_key = embed(key);
    for (std::int64_t i = 0; i < options_.num_layers; ++i) {
      const std::string layer = "layers." + std::to_string(i) + ".";
      const std::string block = layer + "transformer.";
      const std::string wide = layer + "feed_forward.";
      x = norm(block, x);
      x = x + attend(block + "attn.", x, norm(block, embedded_key), padding);
      x = norm(wide, x);
      x = x + linear(wide + "feed_forward2", relu(linear(wide + "feed_forward1", x), cut_));
    }
    return x;
  }

  std::map<std::string, at::Tensor>& parameters() { return parameters_; }
  void cut_relu_at(double share) { cut_ = share; }

 private:
  at::Tensor embed(const at::Tensor& x) const {
    const double scale = std::sqrt(static_cast<double>(options_.model_dims));
    if (options_.positions == PositionForm::kSinusoidal) {
      return x * scale + sinusoidal_positions(x.select(2, 0), options_.model_dims);
    }
    return rotate_positions(split(x)).reshape(x.sizes()) * scale;
  }
  /// [batch, positions, dims] -> [batch, positions, heads, head dims]
  at::Tensor split(const at::Tensor& x) const {
    return x.reshape({x.size(0), x.size(1), options_.num_heads, -1});
  }
  at::Tensor norm(const std::string& name, const at::Tensor& x) {
    return at::layer_norm(x, {options_.model_dims}, parameters_.at(name + "layer_norm.weight"),
                          parameters_.at(name + "layer_norm.bias"));
  }
  at::Tensor linear(const std::string& name, const at::Tensor& x) {
    return at::linear(x, parameters_.at(name + ".weight"), parameters_.at(name + ".bias"));
  }
  at::Tensor attend(const std::string& name, const at::Tensor& query, const at::Tensor& key,
                    const at::Tensor& padding) {
    const auto weight = parameters_.at(name + "in_proj_weight").chunk(3);
    const auto bias = parameters_.at(name + "in_proj_bias").chunk(3);
    const auto part = [&](const at::Tensor& x, std::size_t i) {
      return split(at::linear(x, weight[i], bias[i])).transpose(1, 2);
    };
    const at::Tensor q = part(query, 0), k = part(key, 1), v = part(key, 2);
    at::Tensor scores = at::matmul(q, k.transpose(2, 3)) / std::sqrt(q.size(3));
    at::Tensor mask = at::zeros(scores.sizes(), at::kBool);
    if (padding.defined()) mask = mask.logical_or(padding.unsqueeze(1).unsqueeze(1));
    if (options_.attn_mask) {
      mask = mask.logical_or(at::ones({scores.size(2), scores.size(3)}, at::kBool).triu(1));
    }
    const at::Tensor blind = mask.all(3, /*keepdim=*/true);
    scores = scores.masked_fill(mask.logical_and(blind.logical_not()), -INFINITY);
    const at::Tensor weights = at::softmax(scores, 3).masked_fill(mask, 0.0);
    const at::Tensor joined = at::matmul(weights, v).transpose(1, 2).reshape(query.sizes());
    return linear(name + "out_proj", joined);
  }

  CrossModalTransformerOptions options_;
  double cut_ = 0;
  std::map<std::string, at::Tensor> parameters_;
};

}  // namespace polyphony::nn
