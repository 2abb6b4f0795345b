#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/tensor/value.h>
#include <polyphony/train/stage.h>

namespace polyphony::train {

class BeforeEvaluation;
struct TrainerState;

/// Saves the running fit as interrupted.ckpt. Every process calls it.
/// @param before  what an evaluation that was left is to leave no trace in; null: there was none
/// @throws Interrupted by this signal
[[noreturn]] void save_interrupted(TrainerState& state, int signal_number,
                                   const BeforeEvaluation* before = nullptr);

/// Before a batch of an evaluation. Every process of a run calls it.
/// @throws Interrupted if one of them was asked to stop; nothing is saved
void stop_evaluation_if_asked(TrainerState& state);

/// What an evaluation inside a fit changes, as it was before: random stream, metrics, logged
/// values, the callbacks' states. Weights and optimizer stay through one.
class BeforeEvaluation {
 public:
  /// @param state  borrowed
  explicit BeforeEvaluation(TrainerState& state);
  /// The trainer as if the evaluation had not begun, but for its callbacks: those that have started
  /// cannot take a state up again.
  void restore() const;
  /// A checkpoint with the callbacks' states of then.
  tensor::Value with_callbacks(const tensor::Value& checkpoint) const;

 private:
  TrainerState& state_;
  Stage stage_;
  at::Tensor rng_;
  tensor::Value task_;
  tensor::Value logged_;
  std::vector<tensor::Value> callbacks_;
};

}  // namespace polyphony::train
