#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace polyphony::metrics {

/// A batch as metrics read it: on the CPU, contiguous, predictions as float, double or int64.
class Batch {
 public:
  /// @param preds   scores (float) or labels (integer)
  /// @param target  labels; for an aggregation the weights, or undefined
  Batch(const at::Tensor& preds, const at::Tensor& target);

  const at::Tensor& preds() const { return preds_; }
  const at::Tensor& target() const { return target_; }
  bool scored() const { return scored_; }
  std::int64_t rows() const { return preds_.dim() == 0 ? 1 : preds_.size(0); }

 private:
  at::Tensor preds_;
  at::Tensor target_;
  bool scored_;
};

/// Predictions and labels of one of several classes, checked: every label that is not ignored is in
/// [0, classes), and so is every prediction that is a label.
struct MulticlassBatch {
  at::Tensor preds;  ///< scores [rows, classes, inner], or labels [rows, inner]
  bool scored = false;
  std::int64_t rows = 0;
  std::int64_t classes = 0;
  std::int64_t inner = 1;                ///< positions of a row
  const std::int64_t* target = nullptr;  ///< [rows, inner]
};

/// @throws DataError naming shapes that do not fit, or the row and the label out of range
MulticlassBatch multiclass_batch(const Batch& batch, std::int64_t classes,
                                 std::optional<std::int64_t> ignore_index);

/// Predictions and answers to yes-or-no questions, checked: every answer that is not ignored is 0
/// or 1, and so is every prediction that is an answer.
struct LabelBatch {
  at::Tensor preds;  ///< scores or answers [rows, labels, inner]
  bool scored = false;
  std::int64_t rows = 0;
  std::int64_t labels = 1;
  std::int64_t inner = 1;
  const std::int64_t* target = nullptr;  ///< [rows, labels, inner]
};

/// Binary: labels = 1 and each row is one question with `inner` positions.
/// @param labels  of a multilabel task; absent: a binary one
/// @throws DataError naming shapes that do not fit, or the row and the value that is not 0 or 1
LabelBatch label_batch(const Batch& batch, std::optional<std::int64_t> labels,
                       std::optional<std::int64_t> ignore_index);

/// Scores as probabilities: those that lie in [0, 1] already are taken as they are, all others go
/// through softmax over dimension 1, or through a sigmoid. Rows with the ignored label do not count
/// for that question.
at::Tensor softmax_if_needed(const MulticlassBatch& batch,
                             std::optional<std::int64_t> ignore_index);
at::Tensor sigmoid_if_needed(const LabelBatch& batch, std::optional<std::int64_t> ignore_index);

/// @throws DataError if the predictions are labels: this metric needs scores
void require_scores(bool scored, const char* metric);

/// Calls f with a pointer to the scores: const float* or const double*.
template <class F>
void with_scores(const at::Tensor& scores, F f) {
  if (scores.scalar_type() == at::kFloat) {
    f(static_cast<const float*>(scores.data_ptr<float>()));
  } else {
    f(static_cast<const double*>(scores.data_ptr<double>()));
  }
}

/// The first of the largest of n values that lie `stride` apart; NaN is larger than all.
template <class T>
std::int64_t argmax(const T* values, std::int64_t n, std::int64_t stride) {
  std::int64_t best = 0;
  T most = values[0];
  for (std::int64_t i = 1; i < n && most == most; ++i) {
    const T value = values[i * stride];
    if (!(value <= most)) {
      most = value;
      best = i;
    }
  }
  return best;
}

}  // namespace polyphony::metrics
