#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include <polyphony/nn/dropout.h>
#include <polyphony/nn/packed.h>

namespace polyphony::nn {

/// How positions enter a cross-modal transformer. Kept apart because the two published forms of the
/// multimodal transformer, which share all parameter names, differ in it.
enum class PositionForm {
  kSinusoidal,  ///< the form of January 2024: fairseq's table, added after scaling
  kRotary,      ///< the later form: each head's neighbouring pairs are rotated, before scaling
};

/// What positions do to the rows of a packed batch. Tables reach as far as the longest sequence
/// yet.
class PositionEmbedding {
 public:
  /// @param scale  what elements are multiplied by
  PositionEmbedding(PositionForm form, std::int64_t dims, std::int64_t heads, double scale);
  ~PositionEmbedding();

  /// Positions, scale and dropout in one pass; differentiable.
  /// @param x  float32 or bfloat16 [rows, dims] @return the same
  at::Tensor forward(const at::Tensor& x, const Layout& layout, const DropoutMask& mask);

  struct Tables;

 private:
  std::shared_ptr<Tables> tables_;
};

/// Rotary position embedding (Su et al., 2021): the pair (2i, 2i+1) of each head is rotated by
/// position / 10000^(2i / head_dims). @param x  float [batch, positions, heads, head_dims]
at::Tensor rotate_positions(const at::Tensor& x);

/// fairseq's sinusoidal table for a sequence without padding symbols. Its quirks: sines fill the
/// first half and cosines the second, and positions count from 1 (padding index 0, plus one).
/// @param marks  float [batch, positions]; a mark of exactly 0 is padding and gets a zero row
/// @return float [batch, positions, dims]
at::Tensor sinusoidal_positions(const at::Tensor& marks, std::int64_t dims);

}  // namespace polyphony::nn
