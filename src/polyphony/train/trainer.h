#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include <polyphony/config/fields.h>
#include <polyphony/data/loader.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/optim/schedule.h>
#include <polyphony/train/callback.h>
#include <polyphony/train/task.h>

namespace polyphony::train {

/// Options with Lightning's names and meaning.
struct TrainerOptions {
  int max_epochs = 10;
  std::optional<double> gradient_clip_val;
  int accumulate_grad_batches = 1;
  int log_every_n_steps = 50;
  bool enable_progress_bar = true;
  bool enable_model_summary = true;
  bool deterministic = true;

  void describe(config::Fields& f);
};

/// Everything that a fit works on; borrowed for its duration.
struct FitParts {
  Task& task;
  optim::Optimizer& optimizer;
  const optim::Schedule& schedule;
  data::Loader& train;
  data::Loader& val;
  std::vector<std::unique_ptr<Callback>>& callbacks;
  std::vector<std::unique_ptr<Logger>>& loggers;
};

/// Runs the loops: fit with a validation after each epoch, evaluation, prediction.
///
/// A fit is a function of its parts and the seed of the global generator: two fits agree to the
/// bit, and one resumed from any checkpoint, in mid-epoch too, ends with the weights of one never
/// stopped.
class Trainer {
 public:
  /// @param root  directory of the run; `checkpoints/` is made in it
  /// @param hyper_parameters  kept in every checkpoint
  Trainer(TrainerOptions options, std::filesystem::path root, tensor::Value hyper_parameters = {});

  /// @param resume  checkpoint to go on from; empty to begin anew
  /// @throws Interrupted after SIGINT or SIGTERM, once the state is saved
  /// @throws DataError where a loss is not finite, naming step and rows
  void fit(const FitParts& parts, const std::filesystem::path& resume = {});
  /// Metrics over every row once, with the stage's prefix; "PREFIXloss" is the mean over rows.
  MetricValues evaluate(Task& task, data::Loader& loader, Stage stage);
  /// Logits in dataset order: float [rows, classes].
  at::Tensor predict(Task& task, data::Loader& loader);

  /// Writes the whole state of the running fit, whole or not at all.
  void save_checkpoint(const std::filesystem::path& path) const;

  // What callbacks read and do.
  const TrainerOptions& options() const { return options_; }
  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path checkpoint_directory() const { return root_ / "checkpoints"; }
  const Task& task() const { return parts_->task; }
  std::int64_t global_step() const { return position_.global_step; }
  std::int64_t current_epoch() const { return position_.epoch; }
  std::int64_t batches_per_epoch() const { return parts_->train.batches(); }
  std::int64_t batch_in_epoch() const { return position_.batch; }
  double learning_rate() const { return learning_rate_; }
  /// Mean training loss over the epoch's rows so far.
  double epoch_loss() const {
    return position_.rows > 0 ? position_.loss_sum / static_cast<double>(position_.rows) : 0;
  }
  /// The newest value of everything logged, for monitors.
  const MetricValues& callback_metrics() const { return callback_metrics_; }
  std::optional<double> callback_metric(const std::string& name) const;
  void request_stop() { should_stop_ = true; }

 private:
  /// Where a fit stands; `batch` counts the batches of `epoch` that are done.
  struct Position {
    std::int64_t epoch = 0;
    std::int64_t batch = 0;
    std::int64_t global_step = 0;
    double loss_sum = 0;  ///< of the epoch's rows so far
    std::int64_t rows = 0;
    bool validated = false;  ///< the epoch's validation is done too
  };

  void train_epoch();
  void train_batch(const data::Batch& batch, bool step_now, std::int64_t group_size);
  void finish_epoch();
  void stop_if_asked();
  void log(const MetricValues& values);
  void restore(const std::filesystem::path& path);
  tensor::Value snapshot() const;

  TrainerOptions options_;
  std::filesystem::path root_;
  tensor::Value hyper_parameters_;
  const FitParts* parts_ = nullptr;
  std::vector<Callback*> callbacks_;  ///< of the fit, those that save checkpoints last
  Position position_;
  MetricValues callback_metrics_;
  double learning_rate_ = 0;
  double gradient_norm_ = 0;
  bool should_stop_ = false;
};

/// A checkpoint as it is; for a run's directory, the best one by its ModelCheckpoint.
/// @throws DataError where the directory holds none
std::filesystem::path best_checkpoint(const std::filesystem::path& checkpoint_or_run);

/// The state dict inside a checkpoint. @throws DataError where the file holds none
NamedTensors load_state_dict(const std::filesystem::path& checkpoint);

}  // namespace polyphony::train
