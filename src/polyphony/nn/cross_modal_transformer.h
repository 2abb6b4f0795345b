#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>

#include <polyphony/nn/packed.h>
#include <polyphony/nn/positions.h>

namespace polyphony::nn {

struct CrossModalTransformerOptions {
  std::int64_t model_dims = 64;
  std::int64_t num_heads = 4;   ///< divides model_dims
  std::int64_t num_layers = 2;  ///< at least 1
  double attn_dropout = 0.0;    ///< on attention weights
  double relu_dropout = 0.0;    ///< inside the feed-forward block
  double res_dropout = 0.0;     ///< on residual branches
  double emb_dropout = 0.0;     ///< on embedded positions
  bool attn_mask = false;       ///< a position attends to no later one
  PositionForm positions = PositionForm::kRotary;
  bool scale_embedding = true;  ///< multiply by sqrt(model_dims) on entry
};

/// The rows of a packed batch.
struct Rows {
  at::Tensor values;  ///< float32 or bfloat16 [rows, model_dims]
  Layout layout;
};

/// One modality attends to another (or to itself). All layers start equal, and all read the same
/// key. Parameters: layers.N.transformer.{layer_norm,attn},
/// layers.N.feed_forward.{layer_norm,feed_forwardM}.
class CrossModalTransformer : public torch::nn::Module {
 public:
  explicit CrossModalTransformer(const CrossModalTransformerOptions& options);

  /// @param query  float [batch, positions, model_dims]
  /// @param key    float [batch, key positions, model_dims]
  /// @param key_padding_mask  bool [batch, key positions], true where padding; undefined: none. A
  ///   row that is all padding gives attention 0 instead of NaN.
  /// @return float [batch, positions, model_dims]
  at::Tensor forward(const at::Tensor& query, const at::Tensor& key,
                     const at::Tensor& key_padding_mask);

  /// The same without the rows that are padding, which influence nothing. Items of both agree.
  /// @return [query rows, model_dims], of the values' type
  at::Tensor forward(const Rows& query, const Rows& key);
  /// x attends to itself, for position 0 of each item alone: other positions of the query reach
  /// neither it nor the keys, which are the same in all layers. @return float32 [items, model_dims]
  at::Tensor forward_first(const Rows& x);

 private:
  at::Tensor embed(const Rows& x);
  template <class Attend>
  at::Tensor run_layers(const at::Tensor& query, const Attend& attend);

  CrossModalTransformerOptions options_;
  PositionEmbedding positions_;
  torch::nn::ModuleList layers_;
};

}  // namespace polyphony::nn
