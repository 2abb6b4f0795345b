#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <polyphony/nn/layers.h>
#include <polyphony/nn/packed.h>

namespace polyphony::nn {

/// Where the layer norms of a transformer layer stand.
enum class NormPlace {
  kAfter,   ///< after each residual (BERT; HuBERT base)
  kBefore,  ///< before attention and feed-forward (HuBERT large: do_stable_layer_norm)
};

/// What Hugging Face calls the parts of a layer.
enum class LayerNames {
  kSpeech,  ///< attention.q_proj … final_layer_norm (HuBERT, wav2vec 2.0)
  kText,    ///< attention.self.query … output.LayerNorm (BERT, RoBERTa)
};

struct TransformerLayerOptions {
  std::int64_t dims = 768;
  std::int64_t heads = 12;  ///< divides dims
  std::int64_t intermediate = 3072;
  double norm_eps = 1e-5;
  double attention_dropout = 0.1;   ///< on attention weights
  double hidden_dropout = 0.1;      ///< on what attention and feed-forward add
  double activation_dropout = 0.0;  ///< inside the feed-forward part
  Activation activation = Activation::kGelu;
  NormPlace norm = NormPlace::kAfter;
  LayerNames names = LayerNames::kText;
};

/// Which positions a layer attends to.
struct AttentionMask {
  Layout layout;  ///< of packed rows: each attends to those of its item; null: rows are not packed
  at::Tensor bias;  ///< of rows that are not: see `attention_bias`
};

/// One layer of a transformer encoder (Vaswani et al., 2017).
class TransformerLayer : public torch::nn::Module {
 public:
  explicit TransformerLayer(const TransformerLayerOptions& options);

  /// @param x  packed: float32 [rows, dims], and weights of attention are never stored; else float
  ///   [batch, positions, dims], by Transformers' own operations, which float64 needs
  /// @param type  of the products' operands, float32 or bfloat16; the residual stream, norms,
  ///   softmax and gradients of weights are float32
  at::Tensor forward(const at::Tensor& x, const AttentionMask& mask, at::ScalarType type);

 private:
  at::Tensor attend(const at::Tensor& x, const AttentionMask& mask) const;
  at::Tensor scaled_dot_product(const at::Tensor& x, const at::Tensor& bias) const;
  at::Tensor feed_forward(const at::Tensor& x) const;
  at::Tensor heads_of(const at::Tensor& x) const;
  at::Tensor add(const at::Tensor& residual, const at::Tensor& branch) const;
  at::Tensor drop(const at::Tensor& x, double rate) const;

  TransformerLayerOptions options_;
  std::shared_ptr<Linear> query_;
  std::shared_ptr<Linear> key_;
  std::shared_ptr<Linear> value_;
  std::shared_ptr<Linear> out_;
  std::shared_ptr<LayerNorm> attention_norm_;
  std::shared_ptr<Linear> intermediate_;
  std::shared_ptr<Linear> output_;
  std::shared_ptr<LayerNorm> output_norm_;
};

/// What is added to the scores: 0 for real positions, the least float for padding.
/// @param mask  bool [batch, positions], true where real; undefined: all real
/// @return float [batch, 1, 1, positions], or undefined
at::Tensor attention_bias(const at::Tensor& mask);

}  // namespace polyphony::nn
