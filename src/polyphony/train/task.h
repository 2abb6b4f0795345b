#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <polyphony/data/dataset.h>
#include <polyphony/optim/schedule.h>
#include <polyphony/tensor/value.h>
#include <polyphony/train/log_options.h>
#include <polyphony/train/stage.h>

namespace polyphony::train {

class MetricLog;
class Trainer;

/// What moves a task's parameters in a fit.
struct Optimization {
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<optim::Schedule> schedule;  ///< null: the optimizer's own rate
};

/// What is learnt: a model, its loss and its metrics. The counterpart of LightningModule; its hooks
/// are called where Lightning calls them, after the callbacks' of the same name.
class Task {
 public:
  static constexpr const char* kKind = "Task";
  virtual ~Task() = default;

  /// Sees the dataset before the first step. @throws DataError if they do not fit each other
  virtual void setup(const data::Dataset& dataset) = 0;
  /// The configured optimizer and schedule, for `configure_optimizers`.
  void optimize_with(Optimization optimization) { optimization_ = std::move(optimization); }
  /// What a fit moves the parameters with. By default the configured optimizer on all parameters.
  virtual Optimization configure_optimizers();

  /// @return the loss, float [], mean over the batch
  virtual at::Tensor training_step(const data::Batch& batch, std::int64_t index) = 0;
  virtual void validation_step(const data::Batch&, std::int64_t) {}
  virtual void test_step(const data::Batch&, std::int64_t) {}
  /// @return logits, float [batch, classes]
  virtual at::Tensor predict_step(const data::Batch& batch, std::int64_t index) = 0;

  // After an epoch's batches, before the callbacks' epoch-end hooks: epoch metrics are logged here.
  virtual void training_epoch_end() {}
  virtual void validation_epoch_end() {}
  virtual void test_epoch_end() {}

  virtual void on_fit_start() {}
  virtual void on_fit_end() {}
  virtual void on_train_start() {}
  virtual void on_train_end() {}
  virtual void on_train_epoch_start() {}
  virtual void on_train_epoch_end() {}
  virtual void on_validation_epoch_start() {}
  virtual void on_test_epoch_start() {}
  virtual void on_before_optimizer_step(optim::Optimizer&) {}
  virtual void on_save_checkpoint(tensor::Value&) {}
  virtual void on_load_checkpoint(const tensor::Value&) {}

  /// What the optimizer moves, under state-dict names.
  virtual NamedTensors parameters() const = 0;
  /// Parameters and buffers, under state-dict names.
  virtual NamedTensors state() const = 0;
  /// Copies a state dict in. @throws DataError listing missing, unexpected and misshapen names
  virtual void load_state(const NamedTensors& state, const std::string& source) = 0;
  virtual void set_training(bool on) = 0;
  /// Accumulators of the running epochs, for an exact resume.
  virtual tensor::Value metric_state() const { return {}; }
  virtual void load_metric_state(const tensor::Value&) {}
  /// metric_state as it is now, to be asked for later: taken after every step.
  virtual std::function<tensor::Value()> metric_snapshot() const;
  /// Adds what another process has counted, if a run goes on in fewer processes.
  /// @param other  its metric_state()  @return false if that is left out
  virtual bool merge_metric_state(const tensor::Value& other) {
    return other.kind() == tensor::Value::Kind::kNone;
  }

  /// Modules and parameter counts: a line a module down to `max_depth` levels; -1: all of them.
  virtual std::string summary(int max_depth) const = 0;

  /// The trainer that runs this task; null outside a run.
  Trainer* trainer() const { return trainer_; }
  /// @param log  what its hooks log to
  void attach(Trainer* trainer, MetricLog* log);

 protected:
  /// Logs a value of this hook, as LightningModule.log: in training steps each step's value by
  /// default, elsewhere the mean over the epoch weighted by batch sizes.
  /// @throws std::logic_error if one hook logs one name with different options
  void log(std::string_view name, double value, const LogOptions& options = {});
  void log(std::string_view name, const at::Tensor& value, const LogOptions& options = {});
  void log_dict(const MetricValues& values, const LogOptions& options = {});

 private:
  Optimization optimization_;
  Trainer* trainer_ = nullptr;
  MetricLog* log_ = nullptr;
};

}  // namespace polyphony::train
