#include <polyphony/nn/cross_modal_transformer.h>

#include <cmath>
#include <memory>

#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <polyphony/nn/attention.h>
#include <polyphony/nn/dropout.h>
#include <polyphony/nn/feed_forward.h>
#include <polyphony/nn/norm.h>
#include <polyphony/nn/product.h>
#include <polyphony/tensor/seed.h>

namespace polyphony::nn {
namespace {

NormWeights weights_of(const torch::nn::LayerNorm& norm) { return {norm->weight, norm->bias}; }

/// The parameters of multi-head attention whose keys are also its values, as
/// torch.nn.MultiheadAttention's.
struct AttentionParameters : torch::nn::Module {
  explicit AttentionParameters(std::int64_t dims) {
    in_weight = register_parameter("in_proj_weight", torch::empty({3 * dims, dims}));
    in_bias = register_parameter("in_proj_bias", torch::zeros({3 * dims}));
    out = register_module("out_proj", torch::nn::Linear(dims, dims));
    torch::nn::init::xavier_uniform_(in_weight);
    torch::nn::init::zeros_(out->bias);
  }
  at::Tensor in_weight, in_bias;
  torch::nn::Linear out{nullptr};
};

/// Attention from normalised queries to normalised keys, added to the normalised queries.
struct TransformerBlock : torch::nn::Module {
  explicit TransformerBlock(std::int64_t dims) {
    norm = register_module("layer_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dims})));
    attention = register_module("attn", std::make_shared<AttentionParameters>(dims));
  }
  AttentionWeights attention_weights() const {
    return {norm->weight, norm->bias, attention->in_weight, attention->in_bias};
  }
  torch::nn::LayerNorm norm{nullptr};
  std::shared_ptr<AttentionParameters> attention;
};

/// Two linear layers, four times as wide between, added to their normalised input.
struct FeedForwardBlock : torch::nn::Module {
  explicit FeedForwardBlock(std::int64_t dims) {
    norm = register_module("layer_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dims})));
    first = register_module("feed_forward1", torch::nn::Linear(dims, 4 * dims));
    second = register_module("feed_forward2", torch::nn::Linear(4 * dims, dims));
  }
  FeedForwardWeights weights() const {
    return {first->weight, first->bias, second->weight, second->bias};
  }
  torch::nn::LayerNorm norm{nullptr};
  torch::nn::Linear first{nullptr};
  torch::nn::Linear second{nullptr};
};

struct EncoderBlock : torch::nn::Module {
  explicit EncoderBlock(std::int64_t dims) {
    transformer = register_module("transformer", std::make_shared<TransformerBlock>(dims));
    feed_forward = register_module("feed_forward", std::make_shared<FeedForwardBlock>(dims));
  }
  std::shared_ptr<TransformerBlock> transformer;
  std::shared_ptr<FeedForwardBlock> feed_forward;
};

void copy_parameters(const torch::nn::Module& from, torch::nn::Module& into) {
  const torch::NoGradGuard no_grad;
  const auto source = from.named_parameters();
  for (auto& item : into.named_parameters()) item.value().copy_(source[item.key()]);
}

}  // namespace

CrossModalTransformer::CrossModalTransformer(const CrossModalTransformerOptions& options)
    : options_(options),
      positions_(
          options.positions, options.model_dims, options.num_heads,
          options.scale_embedding ? std::sqrt(static_cast<double>(options.model_dims)) : 1.0) {
  if (options.positions == PositionForm::kSinusoidal) {
    // fairseq's table keeps a number to know its device by; published weights hold it.
    register_module("pos_emb", std::make_shared<torch::nn::Module>())
        ->register_buffer("_float_tensor", torch::zeros({1}));
  }
  layers_ = register_module("layers", torch::nn::ModuleList());
  const auto first = std::make_shared<EncoderBlock>(options.model_dims);
  layers_->push_back(first);
  // Copies draw nothing from the generator, so that a seed gives the original's weights.
  const at::Tensor generator = tensor::generator_state();
  for (std::int64_t i = 1; i < options.num_layers; ++i) {
    const auto layer = std::make_shared<EncoderBlock>(options.model_dims);
    copy_parameters(*first, *layer);
    layers_->push_back(layer);
  }
  tensor::set_generator_state(generator);
}

at::Tensor CrossModalTransformer::embed(const Rows& x) {
  return positions_.forward(x.values, x.layout,
                            DropoutMask::draw_if(is_training(), options_.emb_dropout));
}

/// All layers. What a block adds to its input is added when the next block normalises the sum.
/// @param attend  (normed query, weights, options) -> attention
template <class Attend>
at::Tensor CrossModalTransformer::run_layers(const at::Tensor& query, const Attend& attend) {
  const auto draw = [&](double rate) { return DropoutMask::draw_if(is_training(), rate); };
  AttentionOptions attention;
  attention.heads = options_.num_heads;
  attention.is_causal = options_.attn_mask;
  at::Tensor residual = query;
  at::Tensor branch;
  DropoutMask mask;
  for (const auto& module : *layers_) {
    const auto layer = std::static_pointer_cast<EncoderBlock>(module);
    const TransformerBlock& block = *layer->transformer;
    residual = add_norm(residual, branch, mask, weights_of(block.norm));
    attention.mask = draw(options_.attn_dropout);
    branch = linear(attend(residual, block.attention_weights(), attention),
                    block.attention->out->weight, block.attention->out->bias);
    mask = draw(options_.res_dropout);
    residual = add_norm(residual, branch, mask, weights_of(layer->feed_forward->norm));
    branch = feed_forward(residual, layer->feed_forward->weights(), draw(options_.relu_dropout));
    mask = draw(options_.res_dropout);
  }
  return add_dropout(residual, branch, mask);
}

at::Tensor CrossModalTransformer::forward(const Rows& query, const Rows& key) {
  const at::Tensor embedded = embed(query);
  const at::Tensor centered = center(embed(key));
  const AttentionLayouts layouts = {query.layout, key.layout};
  return run_layers(embedded, [&](const at::Tensor& normed, const AttentionWeights& weights,
                                  const AttentionOptions& options) {
    return attention(normed, centered, weights, layouts, options);
  });
}

at::Tensor CrossModalTransformer::forward_first(const Rows& x) {
  const Packed& layout = *x.layout;
  const at::Tensor begins =
      torch::tensor(at::ArrayRef<std::int64_t>(layout.begin.data(), layout.begin.size() - 1));
  const Rows first = {x.values.index_select(0, begins).to(torch::kFloat),
                      first_positions(layout.batch())};
  const at::Tensor embedded = embed(first);
  const at::Tensor centered = center(embed(x));
  const AttentionLayouts layouts = {first.layout, x.layout};
  return run_layers(embedded, [&](const at::Tensor& normed, const AttentionWeights& weights,
                                  const AttentionOptions& options) {
    return first_attention(normed, centered, weights, layouts, options);
  });
}

at::Tensor CrossModalTransformer::forward(const at::Tensor& query, const at::Tensor& key,
                                          const at::Tensor& key_padding_mask) {
  const Layout queries = pack({}, query.size(0), query.size(1));
  const Layout keys = pack(key_padding_mask, key.size(0), key.size(1));
  return forward({gather_rows(query, queries), queries}, {gather_rows(key, keys), keys})
      .view(query.sizes());
}

}  // namespace polyphony::nn
