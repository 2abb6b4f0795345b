#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

namespace polyphony::nn {

/// What stands between two linear layers; names are those of Transformers' configurations.
enum class Activation { kGelu, kGeluTanh, kRelu, kSilu, kTanh };

/// @param x  float, any shape
at::Tensor activate(const at::Tensor& x, Activation activation);

/// y = x W^T + b. Weights are not initialised: their owner loads or draws them.
class Linear : public torch::nn::Module {
 public:
  Linear(std::int64_t inputs, std::int64_t outputs);
  /// @param x  float32, bfloat16 (the product is bfloat16's) or float64, [..., inputs]
  /// @return of x's type, [..., outputs]
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  ///< float [outputs, inputs]
  at::Tensor bias;    ///< float [outputs]
};

/// Layer norm over the last dimension. Weights are 1 and biases 0.
class LayerNorm : public torch::nn::Module {
 public:
  LayerNorm(std::int64_t dims, double eps);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  ///< float [dims]
  at::Tensor bias;    ///< float [dims]

 private:
  double eps_;
};

/// Group norm's weights, one a channel. Weights are 1 and biases 0.
class GroupNorm : public torch::nn::Module {
 public:
  explicit GroupNorm(std::int64_t channels);

  at::Tensor weight;  ///< float [channels]
  at::Tensor bias;    ///< float [channels]
};

/// Rows of a table. Weights are not initialised.
class Embedding : public torch::nn::Module {
 public:
  /// @param padding_index  the row that gets no gradient; -1: none
  Embedding(std::int64_t rows, std::int64_t dims, std::int64_t padding_index = -1);
  /// @param ids  int64, any shape
  at::Tensor forward(const at::Tensor& ids) const;

  at::Tensor weight;  ///< float [rows, dims]

 private:
  std::int64_t padding_index_;
};

/// The submodule that dotted names lead to, made of empty modules if it is not there yet.
torch::nn::Module& submodule(torch::nn::Module& root, const std::string& path);

/// Registers a module under a dotted name: "attention.self.query".
template <class M>
std::shared_ptr<M> register_at(torch::nn::Module& root, const std::string& path,
                               std::shared_ptr<M> module) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string::npos) return root.register_module(path, std::move(module));
  return submodule(root, path.substr(0, dot))
      .register_module(path.substr(dot + 1), std::move(module));
}

}  // namespace polyphony::nn
