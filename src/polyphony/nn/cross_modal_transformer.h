#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>

namespace polyphony::nn {

/// How positions enter a cross-modal transformer. Kept apart because the two published forms of the
/// multimodal transformer, which share all parameter names, differ in it.
enum class PositionForm {
  kSinusoidal,  ///< the form of January 2024: fairseq's table, added after scaling
  kRotary,      ///< the later form: each head's neighbouring pairs are turned, before scaling
};

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

/// One modality attends to another (or to itself). All layers start equal, and all read the same
/// key. Parameters: layers.N.transformer.{layer_norm,attn},
/// layers.N.feed_forward.{layer_norm,feed_forwardM}.
class CrossModalTransformer : public torch::nn::Module {
 public:
  explicit CrossModalTransformer(const CrossModalTransformerOptions& options);

  /// @param query  float [batch, positions, model_dims]
  /// @param key    float [batch, key positions, model_dims]
  /// @param key_padding_mask  bool [batch, key positions], true where padding; undefined: none. A
  /// row
  ///   that is all padding gives attention 0 instead of NaN.
  /// @return float [batch, positions, model_dims]
  at::Tensor forward(const at::Tensor& query, const at::Tensor& key,
                     const at::Tensor& key_padding_mask);

 private:
  at::Tensor embed(const at::Tensor& x) const;

  CrossModalTransformerOptions options_;
  torch::nn::ModuleList layers_;
};

/// Rotary position embedding (Su et al., 2021): the pair (2i, 2i+1) of each head is turned by
/// position / 10000^(2i / head_dims). @param x  float [batch, positions, heads, head_dims]
at::Tensor rotate_positions(const at::Tensor& x);

/// fairseq's sinusoidal table for a sequence without padding symbols. Its quirks: sines fill the
/// first half and cosines the second, and the first position has number 1 (padding index 0, plus
/// one).
/// @param marks  float [batch, positions]; a mark of exactly 0 is padding and gets a zero row
/// @return float [batch, positions, dims]
at::Tensor sinusoidal_positions(const at::Tensor& marks, std::int64_t dims);

}  // namespace polyphony::nn
