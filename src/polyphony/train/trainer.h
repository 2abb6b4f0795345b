#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/base/fingerprint.h>
#include <polyphony/data/loader.h>
#include <polyphony/train/callback.h>
#include <polyphony/train/logger.h>
#include <polyphony/train/strategy.h>
#include <polyphony/train/task.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::train {

struct TrainerState;

/// What a trainer is made of beside its options.
struct TrainerParts {
  std::vector<std::unique_ptr<Callback>> callbacks;
  std::vector<std::unique_ptr<Logger>> loggers;
  std::unique_ptr<Strategy> strategy;    ///< null: what the options ask for
  tensor::Value hyper_parameters;        ///< kept in every checkpoint, given to the loggers
  std::string resume_key = "ckpt_path";  ///< the option that a user names a checkpoint by
};

/// What a checkpoint holds: everything, or the weights without optimizer and callbacks.
enum class Contents { kEverything, kWeightsOnly };

/// What of the configuration wins over the checkpoint that a fit goes on from if they differ.
struct ResumeChoice {
  bool rates = false;     ///< the optimizer's learning rates
  bool schedule = false;  ///< the schedule: it begins anew, and goes to the step of the resume
};

/// Runs the loops of Lightning: fit with validation, validate, test, predict. What callbacks read
/// and do is here; what the loops own is in loops/trainer_state.h.
///
/// A fit is a function of its parts and the state of the global generator: two fits agree to the
/// bit, and one resumed from any checkpoint, in mid-epoch too, ends as one never stopped. A fit
/// that fails leaves its last completed step in exception.ckpt.
class Trainer {
 public:
  /// @param root  where files go unless `default_root_dir` says otherwise
  Trainer(TrainerOptions options, std::filesystem::path root, TrainerParts parts = {});
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// @param val  null: no validation; @param resume  checkpoint to go on from; empty: begin anew
  /// @throws Interrupted once the state is saved, if a signal asked for a stop before the end
  /// @throws DataError if a loss is not finite, naming step and rows
  void fit(Task& task, data::Loader& train, data::Loader* val = nullptr,
           const std::filesystem::path& resume = {});
  /// What the task's hooks logged over all rows.
  MetricValues validate(Task& task, data::Loader& loader);
  MetricValues test(Task& task, data::Loader& loader);
  /// Logits in dataset order: float [rows, classes].
  at::Tensor predict(Task& task, data::Loader& loader);

  /// Writes the running fit's state, whole or not at all; a path that ends in .safetensors gets the
  /// weights alone. Every process calls it, rank 0 writes.
  void save_checkpoint(const std::filesystem::path& path,
                       Contents contents = Contents::kEverything);
  /// The two halves of save_checkpoint, for who keeps account of the file between them: the file is
  /// there, and then every process knows and loggers are told.
  /// @return what rank 0 has written
  Fingerprint write_checkpoint(const std::filesystem::path& path, Contents contents);
  void announce_checkpoint(const std::filesystem::path& path);

  const TrainerOptions& options() const;
  const std::filesystem::path& root() const;
  /// That of the callback that saves checkpoints, if it was given one.
  std::filesystem::path checkpoint_directory() const;
  /// The checkpoint that the fit goes on from; empty if it began anew.
  const std::filesystem::path& resumed_from() const;
  /// Set in on_load_checkpoint.
  ResumeChoice& resume_choice();
  const std::vector<std::unique_ptr<Callback>>& callbacks() const;
  Task& task() const;
  dist::Collective& collective() const;
  bool is_global_zero() const { return collective().is_global_zero(); }

  std::int64_t global_step() const;
  std::int64_t current_epoch() const;
  /// Batches of the epoch that are done; in a batch's hooks it is counted.
  std::int64_t batch_in_epoch() const;
  /// Of the running epoch; one that was taken up by other processes than began it has more or less
  /// than those to come.
  std::int64_t num_training_batches() const;
  std::int64_t num_val_batches() const;
  /// Optimizer steps of the whole fit, all its epochs alike; nullopt if nothing limits it.
  std::optional<std::int64_t> estimated_stepping_batches() const;
  int max_epochs() const { return *options().max_epochs; }
  void set_accumulate_grad_batches(int batches);
  bool fitting() const;
  bool sanity_checking() const;
  bool validated() const;
  void request_stop();
  bool should_stop() const;

  optim::Optimizer& optimizer() const;
  optim::Schedule* schedule() const;
  void set_schedule(std::unique_ptr<optim::Schedule> schedule);

  /// Logs a value of the hook that is running.
  void log(std::string_view name, double value, const LogOptions& options = {});
  /// A row of its own for the loggers, at the current step.
  void log_row(const MetricValues& values);
  /// Whether values are logged at this step.
  bool should_update_logs() const;
  /// The newest value of everything logged, for monitors.
  const MetricValues& callback_metrics();
  const MetricValues& progress_bar_metrics() const;
  /// Mean loss of the last 20 batches.
  double running_loss() const;

 private:
  void run(Task& task, const std::function<void()>& work);
  void end_after(const std::exception& error);
  bool saves_after_failure() const;
  void begin_fit(data::Loader& train, data::Loader* val);
  void sanity_check(data::Loader& val);
  MetricValues evaluate(Task& task, data::Loader& loader, Stage stage);

  std::unique_ptr<TrainerState> state_;
};

}  // namespace polyphony::train
