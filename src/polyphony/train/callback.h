#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <polyphony/tensor/archive.h>
#include <polyphony/train/task.h>

namespace polyphony::train {

class Trainer;

/// Something that watches a run and may save or stop it. Hooks are called in the order of the
/// config.
class Callback {
 public:
  static constexpr const char* kKind = "Callback";
  virtual ~Callback() = default;

  virtual void on_fit_start(Trainer&) {}
  virtual void on_train_epoch_start(Trainer&) {}
  virtual void on_train_batch_end(Trainer&) {}
  /// After each validation; the metrics of the epoch are in `trainer.callback_metrics()`.
  virtual void on_validation_end(Trainer&) {}
  virtual void on_fit_end(Trainer&) {}
  /// Checkpoint callbacks run after all others, so that they save what those decided.
  virtual bool saves_checkpoints() const { return false; }

  /// Key in the checkpoint's `callbacks`; "" where there is nothing to keep.
  virtual std::string state_key() const { return ""; }
  virtual tensor::Value state() const { return {}; }
  virtual void load_state(const tensor::Value&) {}
};

/// Where metrics go. Called on the training thread.
class Logger {
 public:
  static constexpr const char* kKind = "Logger";
  virtual ~Logger() = default;
  virtual void log(const MetricValues& values, std::int64_t step, std::int64_t epoch) = 0;
};

}  // namespace polyphony::train
