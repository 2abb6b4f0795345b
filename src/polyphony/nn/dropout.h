#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <polyphony/nn/philox.h>

namespace polyphony::nn {

/// What one dropout site drops in one forward pass: a counter-based generator (philox.h) and its
/// key. The key is the only thing drawn from LibTorch's default generator, so a run resumed from a
/// checkpoint, whose generator is put back, drops the same elements, and every process of a
/// distributed run its own. The mask is never stored but drawn again in the backward pass.
class DropoutMask {
 public:
  /// Keeps everything.
  DropoutMask() = default;
  /// @param rate  share of elements to drop, in [0, 1]; met to 2^-16
  static DropoutMask draw(double rate);
  /// Keeps everything unless `training`.
  static DropoutMask draw_if(bool training, double rate);

  /// Whether anything may be dropped.
  bool active() const { return active_; }
  /// What elements that stay are multiplied by.
  float factor() const { return active_ ? draws_.factor : 1.0F; }
  /// What to multiply elements `begin` to `begin + count - 1` by: 0, or 1 / (1 - rate). An
  /// element's factor depends on its number alone, not on how the calls divide them.
  void factors(std::int64_t begin, std::int64_t count, float* out) const;
  /// The same for all elements of a tensor, in its contiguous order: float [sizes].
  at::Tensor factors(at::IntArrayRef sizes) const;

 private:
  BernoulliGroups draws_;
  bool active_ = false;
};

// Differentiable functions of float32 or bfloat16 tensors; if the mask is not active, plain
// ones. `mask` numbers the elements of `x` in contiguous order.

/// x with elements dropped and the others scaled.
at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask);
/// residual + dropout(x), in one pass. Shapes and types agree.
at::Tensor add_dropout(const at::Tensor& residual, const at::Tensor& x, const DropoutMask& mask);
/// dropout(relu(x)), in one pass.
at::Tensor relu_dropout(const at::Tensor& x, const DropoutMask& mask);

}  // namespace polyphony::nn
