#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/tensor/value.h>
#include <polyphony/train/stage.h>

namespace polyphony::train {

class Trainer;

class BeforeEvaluation;

/// Saves the running fit as interrupted.ckpt. Every process calls it.
/// @param before  what an evaluation that was left is to leave no trace in; null: there was none
/// @throws Interrupted by this signal
[[noreturn]] void save_interrupted(Trainer& trainer, int signal_number,
                                   const BeforeEvaluation* before = nullptr);

/// Before a batch of an evaluation. Every process of a run calls it.
/// @throws Interrupted where one of them was asked to stop; nothing is saved
void stop_evaluation_if_asked(Trainer& trainer);

/// What an evaluation inside a fit changes, as it was before: random stream, metrics, logged
/// values, the callbacks' states. Weights and optimizer stay through one.
class BeforeEvaluation {
 public:
  /// @param trainer  borrowed
  explicit BeforeEvaluation(Trainer& trainer);
  /// The trainer as if the evaluation had not begun, but for its callbacks: those that have started
  /// cannot take a state up again.
  void restore() const;
  /// A checkpoint with the callbacks' states of then.
  tensor::Value with_callbacks(const tensor::Value& checkpoint) const;

 private:
  /// A value of its own: tensors are copied.
  class Kept {
   public:
    explicit Kept(const tensor::Value& value);
    tensor::Value value() const;

   private:
    std::vector<at::Tensor> storages_;
    std::string pickled_;
  };

  Trainer& trainer_;
  Stage stage_;
  at::Tensor rng_;
  Kept metrics_;
  Kept log_;
  std::vector<Kept> callbacks_;
};

}  // namespace polyphony::train
