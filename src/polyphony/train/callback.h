#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include <polyphony/data/dataset.h>
#include <polyphony/optim/optimizer.h>
#include <polyphony/tensor/value.h>
#include <polyphony/train/stage.h>

namespace polyphony::train {

class Trainer;

/// Something that watches a run and may save or stop it: Lightning's Callback, hook for hook. Hooks
/// are called in the order of the config, checkpoint callbacks last.
class Callback {
 public:
  static constexpr const char* kKind = "Callback";
  virtual ~Callback() = default;

  // Each run, around everything else.
  virtual void setup(Trainer&) {}
  virtual void teardown(Trainer&) {}
  virtual void on_fit_start(Trainer&) {}
  virtual void on_fit_end(Trainer&) {}
  virtual void on_exception(Trainer&, const std::exception&) {}

  virtual void on_sanity_check_start(Trainer&) {}
  virtual void on_sanity_check_end(Trainer&) {}

  virtual void on_train_start(Trainer&) {}
  virtual void on_train_end(Trainer&) {}
  virtual void on_train_epoch_start(Trainer&) {}
  virtual void on_train_epoch_end(Trainer&) {}
  virtual void on_train_batch_start(Trainer&, const data::Batch&, std::int64_t) {}
  /// @param loss  of the batch, before it is divided by the batches of a step
  virtual void on_train_batch_end(Trainer&, double /*loss*/, std::int64_t) {}

  virtual void on_before_zero_grad(Trainer&, optim::Optimizer&) {}
  virtual void on_before_backward(Trainer&, const at::Tensor& /*loss*/) {}
  virtual void on_after_backward(Trainer&) {}
  virtual void on_before_optimizer_step(Trainer&, optim::Optimizer&) {}

  virtual void on_validation_start(Trainer&) {}
  virtual void on_validation_end(Trainer&) {}
  virtual void on_validation_epoch_start(Trainer&) {}
  virtual void on_validation_epoch_end(Trainer&) {}
  virtual void on_validation_batch_start(Trainer&, const data::Batch&, std::int64_t) {}
  virtual void on_validation_batch_end(Trainer&, const data::Batch&, std::int64_t) {}

  virtual void on_test_start(Trainer&) {}
  virtual void on_test_end(Trainer&) {}
  virtual void on_test_epoch_start(Trainer&) {}
  virtual void on_test_epoch_end(Trainer&) {}
  virtual void on_test_batch_start(Trainer&, const data::Batch&, std::int64_t) {}
  virtual void on_test_batch_end(Trainer&, const data::Batch&, std::int64_t) {}

  virtual void on_predict_start(Trainer&) {}
  virtual void on_predict_end(Trainer&) {}
  virtual void on_predict_epoch_start(Trainer&) {}
  virtual void on_predict_epoch_end(Trainer&) {}
  virtual void on_predict_batch_start(Trainer&, const data::Batch&, std::int64_t) {}
  virtual void on_predict_batch_end(Trainer&, const data::Batch&, std::int64_t) {}

  virtual void on_save_checkpoint(Trainer&, tensor::Value& /*checkpoint*/) {}
  virtual void on_load_checkpoint(Trainer&, const tensor::Value& /*checkpoint*/) {}

  /// Checkpoint callbacks run after all others, so that they save what those decided.
  virtual bool saves_checkpoints() const { return false; }
  /// Where it was told to save; empty if that is left to the trainer.
  virtual std::filesystem::path checkpoint_directory() const { return {}; }
  /// Key in the checkpoint's `callbacks`; "" if there is nothing to keep.
  virtual std::string state_key() const { return ""; }
  virtual tensor::Value state_dict() const { return {}; }
  virtual void load_state_dict(const tensor::Value&) {}
  /// Changes whenever state_dict does, if that is known: spares asking for it after every step.
  virtual std::optional<std::uint64_t> state_revision() const { return std::nullopt; }
  /// What is saved of it after an error. @param before  its state_dict after the last completed
  /// step, from which its hooks are called again
  virtual tensor::Value state_after_failure(tensor::Value before) const { return before; }
  /// The class, for profiles and messages.
  virtual std::string name() const { return "Callback"; }
};

}  // namespace polyphony::train
