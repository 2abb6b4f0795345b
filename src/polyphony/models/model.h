#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <polyphony/data/dataset.h>

namespace polyphony::models {

/// What an encoder makes of a batch.
struct Encoded {
  at::Tensor sequence;  ///< float [batch, positions, dims]; zero beyond `lengths`
  at::Tensor lengths;   ///< int64 [batch], valid positions
  at::Tensor pooled;    ///< float [batch, dims]
};

/// A modality's encoder: batch -> embeddings.
class Encoder : public torch::nn::Module {
 public:
  static constexpr const char* kKind = "Encoder";

  /// @throws DataError if the batch lacks an input
  virtual Encoded encode(const data::Batch& batch) = 0;
  /// Width of `sequence` and `pooled`.
  virtual std::int64_t dims() const = 0;
  /// Batch keys that `encode` needs, e.g. "log_mel".
  virtual std::vector<std::string> inputs() const = 0;
};

/// A classifier: batch -> logits, float [batch, classes].
class Model : public torch::nn::Module {
 public:
  static constexpr const char* kKind = "Model";

  /// @throws DataError if the batch lacks an input
  virtual at::Tensor forward(const data::Batch& batch) = 0;
  /// Batch keys that `forward` needs, e.g. "log_mel".
  virtual std::vector<std::string> inputs() const = 0;
  /// Refuses rows that its weights were not made for. @param labels  classes  @param several
  /// whether a row may have several of them  @throws ConfigError
  virtual void check_targets(std::int64_t /*labels*/, bool /*several*/) const {}
};

/// An input of a batch.
/// @throws DataError naming the inputs there are, and the dataset option to set
const at::Tensor& input(const data::Batch& batch, const std::string& name);

}  // namespace polyphony::models
