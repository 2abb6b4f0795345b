#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <polyphony/nn/dropout.h>
#include <polyphony/nn/packed.h>

namespace polyphony::nn {

/// What one layer's attention is made of: torch.nn.MultiheadAttention's input projection, and the
/// layer norm of its keys.
struct AttentionWeights {
  at::Tensor norm_weight, norm_bias;  ///< float32 [dims]
  at::Tensor in_weight, in_bias;      ///< float32 [3 dims, dims], [3 dims]: queries, keys, values
};

struct AttentionOptions {
  std::int64_t heads = 1;
  bool is_causal = false;  ///< a query attends to no key at a later position than its own
  DropoutMask mask;        ///< on the attention weights
};

/// Where queries and keys lie; items agree.
struct AttentionLayouts {
  Layout query, key;
};

/// Multi-head attention before the output projection; differentiable. Weights of attention live in
/// a thread's cache, one item and head at a time, and are computed again in the backward pass. A
/// query that attends to no key gets 0.
/// @param query  normed queries, float32 or bfloat16 [query rows, dims]
/// @param centered  what `center` made of the keys, of the same type [key rows, dims]; all
///   layers of a network share it: weight and bias of a layer's norm are applied here
/// @return [query rows, dims]
at::Tensor attention(const at::Tensor& query, const at::Tensor& centered,
                     const AttentionWeights& weights, const AttentionLayouts& layouts,
                     const AttentionOptions& options);

/// The core of it alone: of projected queries, keys and values; differentiable.
/// @param query  float32 or bfloat16 [query rows, dims]
/// @param key, value  of the same type [key rows, dims]
/// @return [query rows, dims]
at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                  const AttentionLayouts& layouts, const AttentionOptions& options);

/// `attention` for one query an item, with the projections of keys and values absorbed: scores are
/// (W_k^T q) . key and the weighted mean of the keys is projected, so no key is.
/// @param query  float32 [items, dims]
at::Tensor first_attention(const at::Tensor& query, const at::Tensor& centered,
                           const AttentionWeights& weights, const AttentionLayouts& layouts,
                           const AttentionOptions& options);

/// How many keys, from `first_key` on, the query at `position` of an item attends to.
std::int64_t visible_keys(const Packed& key, std::int64_t item, std::int64_t position,
                          bool is_causal);

}  // namespace polyphony::nn
