#include <polyphony/nn/cross_modal_transformer.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include <torch/nn.h>

#include <polyphony/tensor/seed.h>

namespace polyphony::nn {
namespace {

/// Multi-head attention whose keys are also its values. Parameters as
/// torch.nn.MultiheadAttention's.
class Attention : public torch::nn::Module {
 public:
  explicit Attention(const CrossModalTransformerOptions& options)
      : dims_(options.model_dims), heads_(options.num_heads), dropout_(options.attn_dropout) {
    in_weight_ = register_parameter("in_proj_weight", torch::empty({3 * dims_, dims_}));
    in_bias_ = register_parameter("in_proj_bias", torch::zeros({3 * dims_}));
    out_ = register_module("out_proj", torch::nn::Linear(dims_, dims_));
    torch::nn::init::xavier_uniform_(in_weight_);
    torch::nn::init::zeros_(out_->bias);
  }

  /// @param mask  bool, broadcast to [batch, heads, queries, keys], true where not to look; may be
  ///   undefined. A query that may look nowhere gets attention 0.
  at::Tensor forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& mask) {
    const at::Tensor q =
        split(at::linear(query, in_weight_.narrow(0, 0, dims_), in_bias_.narrow(0, 0, dims_)));
    const at::Tensor key_value = at::linear(key, in_weight_.narrow(0, dims_, 2 * dims_),
                                            in_bias_.narrow(0, dims_, 2 * dims_));
    const at::Tensor k = split(key_value.narrow(2, 0, dims_));
    const at::Tensor v = split(key_value.narrow(2, dims_, dims_));
    const double scale = 1.0 / std::sqrt(static_cast<double>(dims_ / heads_));
    at::Tensor scores = at::matmul(q * scale, k.transpose(2, 3));
    if (mask.defined()) {
      const at::Tensor blind = mask.all(3, /*keepdim=*/true);
      scores = scores.masked_fill(mask.logical_and(blind.logical_not()), -INFINITY);
    }
    at::Tensor weights = at::softmax(scores, 3);
    if (mask.defined()) weights = weights.masked_fill(mask, 0.0);
    weights = torch::dropout(weights, dropout_, is_training());
    const at::Tensor joined = at::matmul(weights, v).transpose(1, 2).reshape(query.sizes());
    return out_->forward(joined);
  }

 private:
  /// [batch, positions, dims] -> [batch, heads, positions, head dims]
  at::Tensor split(const at::Tensor& x) const {
    return x.reshape({x.size(0), x.size(1), heads_, dims_ / heads_}).transpose(1, 2);
  }

  std::int64_t dims_;
  std::int64_t heads_;
  double dropout_;
  at::Tensor in_weight_;
  at::Tensor in_bias_;
  torch::nn::Linear out_{nullptr};
};

/// Attention from normalised queries to normalised keys, added to the normalised queries.
class TransformerBlock : public torch::nn::Module {
 public:
  explicit TransformerBlock(const CrossModalTransformerOptions& options)
      : dropout_(options.res_dropout) {
    norm_ = register_module(
        "layer_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({options.model_dims})));
    attention_ = register_module("attn", std::make_shared<Attention>(options));
  }

  at::Tensor forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& mask) {
    const at::Tensor normal = norm_->forward(query);
    const at::Tensor attended = attention_->forward(normal, norm_->forward(key), mask);
    return normal + torch::dropout(attended, dropout_, is_training());
  }

 private:
  double dropout_;
  torch::nn::LayerNorm norm_{nullptr};
  std::shared_ptr<Attention> attention_;
};

/// Two linear layers, four times as wide between, added to their normalised input.
class FeedForwardBlock : public torch::nn::Module {
 public:
  explicit FeedForwardBlock(const CrossModalTransformerOptions& options)
      : relu_dropout_(options.relu_dropout), res_dropout_(options.res_dropout) {
    const std::int64_t dims = options.model_dims;
    norm_ =
        register_module("layer_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dims})));
    first_ = register_module("feed_forward1", torch::nn::Linear(dims, 4 * dims));
    second_ = register_module("feed_forward2", torch::nn::Linear(4 * dims, dims));
  }

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor normal = norm_->forward(x);
    const at::Tensor wide =
        torch::dropout(at::relu(first_->forward(normal)), relu_dropout_, is_training());
    return normal + torch::dropout(second_->forward(wide), res_dropout_, is_training());
  }

 private:
  double relu_dropout_;
  double res_dropout_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear first_{nullptr};
  torch::nn::Linear second_{nullptr};
};

class EncoderBlock : public torch::nn::Module {
 public:
  explicit EncoderBlock(const CrossModalTransformerOptions& options) {
    transformer_ = register_module("transformer", std::make_shared<TransformerBlock>(options));
    feed_forward_ = register_module("feed_forward", std::make_shared<FeedForwardBlock>(options));
  }

  at::Tensor forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& mask) {
    return feed_forward_->forward(transformer_->forward(query, key, mask));
  }

 private:
  std::shared_ptr<TransformerBlock> transformer_;
  std::shared_ptr<FeedForwardBlock> feed_forward_;
};

void copy_parameters(const torch::nn::Module& from, torch::nn::Module& into) {
  const torch::NoGradGuard no_grad;
  const auto source = from.named_parameters();
  for (auto& item : into.named_parameters()) item.value().copy_(source[item.key()]);
}

/// [batch or 1, 1, queries or 1, keys], true where not to look; undefined where all is open.
at::Tensor attention_mask(const at::Tensor& padding, bool causal, std::int64_t queries,
                          std::int64_t keys, const at::Device& device) {
  at::Tensor mask;
  if (padding.defined()) mask = padding.unsqueeze(1).unsqueeze(1);
  if (!causal) return mask;
  const at::Tensor future =
      torch::ones({queries, keys}, torch::dtype(torch::kBool).device(device)).triu(1);
  return mask.defined() ? mask.logical_or(future) : future.unsqueeze(0).unsqueeze(0);
}

}  // namespace

at::Tensor rotate_positions(const at::Tensor& x) {
  const std::int64_t dims = x.size(3);
  const auto options = torch::dtype(torch::kFloat).device(x.device());
  const at::Tensor exponents = torch::arange(0, dims, 2, options) / static_cast<double>(dims);
  const at::Tensor rates = torch::pow(10000.0, exponents).reciprocal();
  const at::Tensor angles = torch::outer(torch::arange(x.size(1), options), rates);
  const at::Tensor cosine = angles.cos().unsqueeze(1).to(x.dtype());
  const at::Tensor sine = angles.sin().unsqueeze(1).to(x.dtype());
  const at::Tensor pairs = x.reshape({x.size(0), x.size(1), x.size(2), dims / 2, 2});
  const at::Tensor even = pairs.select(4, 0);
  const at::Tensor odd = pairs.select(4, 1);
  return torch::stack({even * cosine - odd * sine, odd * cosine + even * sine}, 4)
      .reshape(x.sizes());
}

at::Tensor sinusoidal_positions(const at::Tensor& marks, std::int64_t dims) {
  const auto options = torch::dtype(torch::kFloat).device(marks.device());
  const std::int64_t half = dims / 2;
  const double step = std::log(10000.0) / std::max<double>(1.0, static_cast<double>(half - 1));
  const at::Tensor real = marks.detach().ne(0);
  const at::Tensor numbers = real.to(torch::kFloat).cumsum(1) * real;
  const at::Tensor rates = torch::exp(torch::arange(half, options) * -step);
  const at::Tensor angles = numbers.unsqueeze(2) * rates;
  at::Tensor table = torch::cat({angles.sin(), angles.cos()}, 2);
  if (dims % 2 == 1) table = torch::constant_pad_nd(table, {0, 1});
  return (table * real.unsqueeze(2)).to(marks.dtype());
}

CrossModalTransformer::CrossModalTransformer(const CrossModalTransformerOptions& options)
    : options_(options) {
  if (options.positions == PositionForm::kSinusoidal) {
    // fairseq's table keeps a number to know its device by; published weights hold it.
    register_module("pos_emb", std::make_shared<torch::nn::Module>())
        ->register_buffer("_float_tensor", torch::zeros({1}));
  }
  layers_ = register_module("layers", torch::nn::ModuleList());
  const auto first = std::make_shared<EncoderBlock>(options);
  layers_->push_back(first);
  // Copies draw nothing from the generator, so that a seed gives the original's weights.
  const at::Tensor generator = tensor::generator_state();
  for (std::int64_t i = 1; i < options.num_layers; ++i) {
    const auto layer = std::make_shared<EncoderBlock>(options);
    copy_parameters(*first, *layer);
    layers_->push_back(layer);
  }
  tensor::set_generator_state(generator);
}

at::Tensor CrossModalTransformer::embed(const at::Tensor& x) const {
  const double scale =
      options_.scale_embedding ? std::sqrt(static_cast<double>(options_.model_dims)) : 1.0;
  at::Tensor embedded;
  if (options_.positions == PositionForm::kRotary) {
    const std::int64_t heads = options_.num_heads;
    const at::Tensor by_head =
        x.reshape({x.size(0), x.size(1), heads, options_.model_dims / heads});
    embedded = rotate_positions(by_head).reshape(x.sizes()) * scale;
  } else {
    embedded = x * scale + sinusoidal_positions(x.select(2, 0), options_.model_dims);
  }
  return torch::dropout(embedded, options_.emb_dropout, is_training());
}

at::Tensor CrossModalTransformer::forward(const at::Tensor& query, const at::Tensor& key,
                                          const at::Tensor& key_padding_mask) {
  const at::Tensor mask = attention_mask(key_padding_mask, options_.attn_mask, query.size(1),
                                         key.size(1), query.device());
  at::Tensor x = embed(query);
  const at::Tensor embedded_key = embed(key);
  for (const auto& layer : *layers_) {
    x = std::static_pointer_cast<EncoderBlock>(layer)->forward(x, embedded_key, mask);
  }
  return x;
}

}  // namespace polyphony::nn
