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
#include <polyphony/train/metric_log.h>
#include <polyphony/train/profiler.h>
#include <polyphony/train/progress.h>
#include <polyphony/train/strategy.h>
#include <polyphony/train/task.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::train {

class LastStep;

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

/// Runs the loops of Lightning: fit with validation, validate, test, predict.
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
  /// @throws Interrupted once the state is saved, where a signal asked for a stop before the end
  /// @throws DataError where a loss is not finite, naming step and rows
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

  // What callbacks read and do.
  const TrainerOptions& options() const { return options_; }
  const std::filesystem::path& root() const { return root_; }
  /// That of the callback that saves checkpoints, where it was given one.
  std::filesystem::path checkpoint_directory() const;
  /// The checkpoint that the fit goes on from; empty where it began anew.
  const std::filesystem::path& resumed_from() const { return resumed_from_; }
  const std::string& resume_key() const { return parts_.resume_key; }
  Task& task() const { return *task_; }
  std::int64_t global_step() const { return progress_.global_step; }
  std::int64_t current_epoch() const { return progress_.epoch; }
  /// Batches of the epoch that are done; in a batch's hooks it is counted.
  std::int64_t batch_in_epoch() const { return progress_.batch; }
  /// Of the running epoch; one that was taken up by other processes than began it has more or less
  /// than those to come.
  std::int64_t num_training_batches() const { return num_training_batches_; }
  std::int64_t num_val_batches() const { return num_val_batches_; }
  bool fitting() const { return fitting_; }
  bool sanity_checking() const { return sanity_checking_; }
  bool validated() const { return progress_.validations > 0; }
  bool is_global_zero() const { return strategy_->is_global_zero(); }
  int max_epochs() const { return *options_.max_epochs; }
  int accumulate_grad_batches() const { return accumulate_grad_batches_; }
  void set_accumulate_grad_batches(int batches) { accumulate_grad_batches_ = batches; }
  /// Optimizer steps of the whole fit, all its epochs alike; nullopt where nothing limits it.
  std::optional<std::int64_t> estimated_stepping_batches() const;
  /// What of the configuration wins over the checkpoint that the fit goes on from, where they
  /// differ. Set in on_load_checkpoint.
  struct ResumeChoice {
    bool rates = false;     ///< the optimizer's learning rates
    bool schedule = false;  ///< the schedule: it begins anew, and goes to the step of the resume
  };
  ResumeChoice& resume_choice() { return resume_choice_; }
  /// Whether values are logged at this step.
  bool should_update_logs() const;
  /// The newest value of everything logged, for monitors.
  const MetricValues& callback_metrics() { return log_->callback_metrics(); }
  const MetricValues& progress_bar_metrics() const { return log_->progress_bar_metrics(); }
  /// Mean loss of the last 20 batches.
  double running_loss() const;
  double newest_loss() const { return newest_loss_; }
  optim::Optimizer& optimizer() const { return *optimization_.optimizer; }
  optim::Schedule* schedule() const { return optimization_.schedule.get(); }
  void set_schedule(std::unique_ptr<optim::Schedule> schedule);
  Strategy& strategy() const { return *strategy_; }
  const std::vector<std::unique_ptr<Callback>>& callbacks() const { return parts_.callbacks; }
  const std::vector<std::unique_ptr<Logger>>& loggers() const { return parts_.loggers; }
  void request_stop() { should_stop_ = true; }
  bool should_stop() const { return should_stop_; }
  /// Logs a value of the hook that is running.
  void log(std::string_view name, double value, const LogOptions& options = {});
  /// A row of its own for the loggers, at the current step.
  void log_row(const MetricValues& values);

  // What the loops and checkpoints use.
  /// While a fit is inside an epoch.
  data::Loader& train_loader() const { return *train_loader_; }
  const data::EpochOrder& order_of_epochs() const { return order_of_epochs_; }
  /// The steps that the schedule was attached with.
  std::optional<std::int64_t> total_steps() const { return total_steps_; }
  void set_total_steps(std::optional<std::int64_t> steps) { total_steps_ = steps; }
  /// Whether the schedule is the configured one, not one that a callback has put in its place.
  bool configured_schedule() const { return schedule() == configured_schedule_; }
  std::int64_t batches_of_whole_epochs() const { return batches_of_whole_epochs_; }
  void set_num_training_batches(std::int64_t batches) { num_training_batches_ = batches; }
  MetricLog& metric_log() { return *log_; }
  /// What a failing fit is saved from; null where it is not.
  LastStep* last_step() const { return last_step_.get(); }
  FitProgress& progress() { return progress_; }
  const FitProgress& progress() const { return progress_; }
  Profiler& profiler() { return profiler_; }
  const tensor::Value& hyper_parameters() const { return parts_.hyper_parameters; }
  void set_running_hook(const char* hook) { hook_ = hook; }
  void add_loss(double loss);
  /// Calls a hook of every callback.
  template <class... P, class... A>
  void call(const char* name, void (Callback::*hook)(Trainer&, P...), A&&... arguments) {
    const Profiler::Action action(profiler_, name);
    hook_ = name;
    for (Callback* callback : order_) (callback->*hook)(*this, arguments...);
  }
  /// The same for a hook in which checkpoints are taken: goes on where the progress says.
  template <class... P, class... A>
  void call_resumable(const char* name, void (Callback::*hook)(Trainer&, P...), A&&... arguments) {
    const Profiler::Action action(profiler_, name);
    hook_ = name;
    while (progress_.callbacks_done < static_cast<std::int64_t>(order_.size())) {
      Callback* callback = order_[static_cast<std::size_t>(progress_.callbacks_done++)];
      (callback->*hook)(*this, arguments...);
    }
  }

 private:
  void run(Task& task, const std::function<void()>& work);
  void end_after(const std::exception& error);
  bool saves_after_failure() const;
  void begin_fit(Task& task, data::Loader& train, data::Loader* val);
  void sanity_check(data::Loader& val);
  MetricValues evaluate(Task& task, data::Loader& loader, Stage stage);

  TrainerOptions options_;
  std::filesystem::path root_;
  TrainerParts parts_;
  std::unique_ptr<Strategy> strategy_;
  std::vector<Callback*> order_;  ///< those that save checkpoints last
  std::unique_ptr<MetricLog> log_;
  Profiler profiler_;
  Task* task_ = nullptr;
  Optimization optimization_;
  FitProgress progress_;
  std::filesystem::path resumed_from_;
  std::unique_ptr<LastStep> last_step_;
  const char* hook_ = "";
  data::Loader* train_loader_ = nullptr;  ///< of the running fit
  data::EpochOrder order_of_epochs_;
  const optim::Schedule* configured_schedule_ = nullptr;
  std::optional<std::int64_t> total_steps_;
  ResumeChoice resume_choice_;
  std::int64_t num_training_batches_ = 0;
  std::int64_t batches_of_whole_epochs_ = 0;
  std::int64_t num_val_batches_ = 0;
  int accumulate_grad_batches_ = 1;
  bool fitting_ = false;
  bool sanity_checking_ = false;
  bool should_stop_ = false;
  double newest_loss_ = 0;
  std::vector<double> losses_;  ///< the newest, in a ring
  std::size_t next_loss_ = 0;
};

}  // namespace polyphony::train
