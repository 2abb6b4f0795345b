#pragma once

#include <polyphony/train/loops/hooks.h>
#include <polyphony/train/loops/metric_log.h>
#include <polyphony/train/profiler.h>
#include <polyphony/train/progress.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {

class LastStep;

/// What the loops of a trainer share and move. Callbacks see of it what Trainer shows.
struct TrainerState {
  TrainerState(Trainer& shown, TrainerOptions given, std::filesystem::path directory,
               TrainerParts made_of);
  ~TrainerState();
  TrainerState(const TrainerState&) = delete;
  TrainerState& operator=(const TrainerState&) = delete;

  /// Calls a hook of every callback, then that of the task.
  template <class... P, class... A>
  void call(const Hook<P...>& hook, A&&... arguments) {
    std::int64_t none_done = 0;
    call_from(none_done, hook, arguments...);
  }
  /// The same for a hook in which checkpoints are taken: goes on where the progress says.
  template <class... P, class... A>
  void call_resumable(const Hook<P...>& hook, A&&... arguments) {
    call_from(progress.callbacks_done, hook, arguments...);
  }
  /// @param done  callbacks that were called, counted on
  template <class... P, class... A>
  void call_from(std::int64_t& done, const Hook<P...>& hook, A&&... arguments) {
    metrics.enter(hook);
    if (hook.callbacks != nullptr) {
      const Profiler::Action action(profiler, hook.name);
      while (done < std::ssize(callbacks)) {
        Callback* callback = callbacks[static_cast<std::size_t>(done++)];
        (callback->*hook.callbacks)(trainer, arguments...);
      }
    }
    if (hook.task != nullptr) (task->*hook.task)(arguments...);
  }

  Strategy& strategy() const { return *parts.strategy; }
  dist::Collective& collective() const { return parts.strategy->collective(); }
  optim::Optimizer& optimizer() const { return *optimization.optimizer; }
  optim::Schedule* schedule() const { return optimization.schedule.get(); }
  /// Whether the schedule is the configured one, not one that a callback has put in its place.
  bool has_configured_schedule() const { return schedule() == configured_schedule; }
  void add_loss(double loss);

  Trainer& trainer;  ///< what hooks are given
  const TrainerOptions options;
  const std::filesystem::path root;
  TrainerParts parts;
  std::vector<Callback*> callbacks;  ///< those that save checkpoints last
  MetricLog metrics;
  Profiler profiler;

  Task* task = nullptr;  ///< of the run
  bool fitting = false;
  bool sanity_checking = false;
  bool should_stop = false;

  // Of the fit, the newest one.
  FitProgress progress;
  std::filesystem::path resumed_from;
  ResumeChoice resume_choice;
  Optimization optimization;
  const optim::Schedule* configured_schedule = nullptr;
  std::optional<std::int64_t> total_steps;  ///< that the schedule was attached with
  data::Loader* train_loader = nullptr;
  data::EpochOrder order_of_epochs;
  std::int64_t batches_of_whole_epochs = 0;
  std::int64_t num_training_batches = 0;  ///< of the running epoch
  std::int64_t num_val_batches = 0;
  int accumulate_grad_batches = 1;
  double newest_loss = 0;
  std::vector<double> losses;           ///< the newest, in a ring
  std::size_t next_loss = 0;            ///< in it
  std::unique_ptr<LastStep> last_step;  ///< what a failing fit is saved from; null: it is not
};

}  // namespace polyphony::train
