#pragma once

#include <ATen/core/Tensor.h>

namespace polyphony::nn {

/// What a product starts from.
enum class Begin { kZero, kSum };

/// out = a b, or out + a b, through oneDNN: its float32 is as fast as the best OpenBLAS on every
/// processor, and it has bfloat16.
/// @param a  [m, k], float32 or bfloat16; one of the two dimensions is dense, as in a transpose
/// @param b  [k, n], of the same type
/// @param out  [m, n], rows dense; float32, or bfloat16 if a and b are
void multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out,
              Begin begin = Begin::kZero);
/// A fresh out.
at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, at::ScalarType type);

/// x weight^T + bias; the raw product of `linear`. @return of x's type
at::Tensor multiply_add(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
/// Sums of the columns of a [rows, columns] tensor, float32.
at::Tensor column_sums(const at::Tensor& x);

/// torch's linear on [rows, in], differentiable. x is float32 or bfloat16 (then the weights are
/// rounded for the product and their gradients are float32). @return [rows, out] of x's type
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace polyphony::nn
