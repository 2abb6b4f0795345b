#include <polyphony/train/loops/fit_loop.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/signals.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/loops/evaluation_loop.h>
#include <polyphony/train/loops/last_step.h>
#include <polyphony/train/loops/stopping.h>
#include <polyphony/train/loops/trainer_state.h>
#include <polyphony/train/loops/training_step.h>

namespace polyphony::train {
namespace {

/// After how many batches a validation is due.
std::int64_t check_batch(const TrainerOptions& options, std::int64_t batches) {
  const Limit& interval = options.val_check_interval;
  if (interval.share) return std::max<std::int64_t>(1, interval.of(batches));
  const auto check = static_cast<std::int64_t>(interval.value);
  if (check > batches && options.check_val_every_n_epoch) {
    throw ConfigError(
        fmt::format("trainer.val_check_interval: {} is more than the {} training batches of an "
                    "epoch",
                    check, batches),
        "lower it, or write trainer.check_val_every_n_epoch=null to count batches over epochs");
  }
  return check;
}

}  // namespace

FitLoop::FitLoop(TrainerState& state, data::Loader& train, data::Loader* val)
    : state_(state),
      train_(train),
      val_(val),
      progress_(state.progress),
      val_check_batch_(check_batch(state.options, state.batches_of_whole_epochs)) {}

bool FitLoop::at(Point point) const { return progress_.point == point; }

bool FitLoop::steps_reached() const {
  const std::int64_t limit = state_.options.max_steps;
  return limit != -1 && progress_.global_step >= limit;
}

bool FitLoop::can_stop_early() const {
  const TrainerOptions& options = state_.options;
  return progress_.epoch >= *options.min_epochs &&
         (!options.min_steps || progress_.global_step >= *options.min_steps);
}

bool FitLoop::done() const {
  if (!at(Point::kEpochStart)) return false;
  if (state_.batches_of_whole_epochs == 0) return true;
  const int epochs = state_.trainer.max_epochs();
  if (steps_reached() || (epochs != -1 && progress_.epoch >= epochs)) return true;
  return state_.should_stop && can_stop_early();
}

bool FitLoop::last_batch_reached() const { return progress_.batch >= state_.num_training_batches; }

bool FitLoop::epoch_done() const {
  if (steps_reached() || last_batch_reached()) return true;
  return state_.should_stop && can_stop_early();
}

bool FitLoop::accumulates() const {
  return progress_.batch % state_.accumulate_grad_batches != 0 && !last_batch_reached();
}

void FitLoop::run(const at::Tensor& rng) {
  state_.task->set_training(true);
  state_.call(kHooks.on_train_start);
  if (rng.defined()) tensor::set_generator_state(rng);
  if (!done()) stop_if_asked();
  while (!done()) run_epoch();
  state_.call(kHooks.on_train_end);
}

void FitLoop::run_epoch() {
  const Profiler::Action action(state_.profiler, "run_training_epoch");
  if (at(Point::kEpochStart)) start_epoch();
  if (!at(Point::kEpochEnd)) {
    train_.start(progress_.epoch, progress_.batch);
    while (!at(Point::kBatchStart) || !epoch_done()) {
      if (at(Point::kBatchStart)) train_batch();
      if (at(Point::kStepDone)) finish_step();
      if (at(Point::kBatchEnd)) finish_batch();
      if (at(Point::kValidationStart) || at(Point::kValidationEnd) || validation_due()) validate();
      next_batch();
    }
  }
  end_epoch();
}

void FitLoop::start_epoch() {
  progress_.batch = 0;
  progress_.last_batch = false;
  state_.num_training_batches = state_.batches_of_whole_epochs;
  state_.metrics.on_epoch_start();
  state_.call(kHooks.on_train_epoch_start);
  progress_.point = Point::kBatchStart;
}

void FitLoop::train_batch() {
  std::optional<data::Batch> next;
  {
    const Profiler::Action action(state_.profiler, "train_dataloader_next");
    next = train_.next();
  }
  if (!next) throw std::logic_error("the training loader ended before its last batch");
  const data::Batch batch = next->to(state_.strategy().device());
  const std::int64_t index = progress_.batch++;
  ++progress_.total_batches;
  progress_.last_batch = last_batch_reached();
  progress_.check_due = check_due();
  state_.metrics.on_batch_start(static_cast<double>(batch.at("index").size(0)));
  state_.call(kHooks.on_train_batch_start, batch, index);
  const double loss = run_training_step(state_, batch, index, {train_.weight(), !accumulates()});
  state_.add_loss(loss);
  progress_.point = Point::kStepDone;
  progress_.callbacks_done = 0;
  if (state_.last_step != nullptr && !accumulates()) state_.last_step->take();
}

void FitLoop::finish_step() {
  if (!accumulates()) move_schedule(/*after_epoch=*/false, /*on_plateau=*/false);
  if (last_batch_reached()) move_schedule(/*after_epoch=*/true, /*on_plateau=*/false);
  progress_.point = Point::kBatchEnd;
  if (state_.last_step != nullptr && !accumulates()) state_.last_step->schedule_moved();
}

void FitLoop::finish_batch() {
  state_.call_resumable(kHooks.on_train_batch_end, state_.newest_loss, progress_.batch - 1);
  MetricLog& log = state_.metrics;
  log.on_batch_end();
  if (accumulates() || !state_.trainer.should_update_logs()) return;
  log.flush(progress_.batches_that_stepped, progress_.epoch);
}

bool FitLoop::validation_due() const {
  if (val_ == nullptr || state_.num_val_batches == 0 || !validates_in_epoch()) return false;
  if (state_.should_stop && can_stop_early()) return true;
  return progress_.check_due ? *progress_.check_due : check_due();
}

bool FitLoop::validates_in_epoch() const {
  const auto& every = state_.options.check_val_every_n_epoch;
  return !every || (progress_.epoch + 1) % *every == 0;
}

bool FitLoop::check_due() const {
  const TrainerOptions& options = state_.options;
  const bool in_epoch = options.check_val_every_n_epoch.has_value();
  if (in_epoch && options.val_check_interval.share) {
    if (const auto place = train_.resumed_place())
      return check_due_in_rest(place->order, place->end);
  }
  const std::int64_t counted = in_epoch ? progress_.batch : progress_.total_batches;
  return counted % val_check_batch_ == 0;
}

/// A share of an epoch that other processes began is one of its rows: batches differ in size.
bool FitLoop::check_due_in_rest(const data::EpochOrder& order, std::int64_t end) const {
  const std::int64_t batches = (end + order.step() - 1) / order.step();
  const std::int64_t rows = check_batch(state_.options, batches) * order.step();
  const auto checks = [&](std::int64_t done) { return *train_.rows_done(done) / rows; };
  return checks(progress_.batch) > checks(progress_.batch - 1);
}

void FitLoop::validate() {
  if (at(Point::kValidationEnd)) {  // taken up again inside the last hook
    state_.call_resumable(kValidationHooks.end);
    finish_evaluation(state_, Stage::kValidate);
    return;
  }
  // A validation that is not ended is one that never began: the resumed run does it anew.
  const BeforeEvaluation before(state_);
  try {
    run_evaluation(state_, *val_, Stage::kValidate, state_.num_val_batches);
  } catch (const Interrupted& stop) {
    progress_.point = Point::kValidationStart;
    save_interrupted(state_, stop.signal_number(), &before);
  }
}

void FitLoop::next_batch() {
  if (!accumulates()) {
    move_schedule(/*after_epoch=*/false, /*on_plateau=*/true);
    ++progress_.batches_that_stepped;
  }
  if (state_.should_stop) state_.metrics.save_loggers();
  progress_.point = Point::kBatchStart;
  if (!steps_reached() && !last_batch_reached()) stop_if_asked();
}

void FitLoop::end_epoch() {
  MetricLog& log = state_.metrics;
  log.epoch_end_reached();
  if (!at(Point::kEpochEnd)) {
    state_.call(kHooks.training_epoch_end);
    progress_.point = Point::kEpochEnd;
    progress_.callbacks_done = 0;
  }
  state_.call_resumable(kHooks.on_train_epoch_end);
  log.on_epoch_end();
  if (last_batch_reached()) move_schedule(/*after_epoch=*/true, /*on_plateau=*/true);
  // Loggers expect the step of the epoch's last batch.
  log.flush(progress_.batches_that_stepped - 1, progress_.epoch);
  log.reset_results();
  ++progress_.epoch;
  progress_.batch = 0;
  progress_.point = Point::kEpochStart;
  if (!done()) stop_if_asked();
}

void FitLoop::move_schedule(bool after_epoch, bool on_plateau) {
  optim::Schedule* schedule = state_.schedule();
  if (schedule == nullptr || schedule->on_plateau() != on_plateau) return;
  const optim::ScheduleTiming& timing = schedule->timing();
  if ((timing.interval == optim::Interval::kEpoch) != after_epoch) return;
  const std::int64_t count = after_epoch ? progress_.epoch + 1 : progress_.batch;
  if (count % timing.frequency != 0) return;
  std::optional<double> metric;
  if (on_plateau) {
    const MetricValues& logged = state_.metrics.callback_metrics();
    const double* value = timing.monitor ? find_value(logged, *timing.monitor) : nullptr;
    if (value == nullptr && timing.strict) {
      std::vector<std::string> names;
      for (const auto& [name, ignored] : logged) names.push_back(name);
      throw ConfigError(
          fmt::format("schedule.monitor: '{}' was never logged", timing.monitor.value_or("null")),
          fmt::format("logged: {}", fmt::join(names, ", ")));
    }
    if (value == nullptr) return;
    metric = *value;
  }
  const bool behind_hooks = !at(Point::kStepDone);
  if (behind_hooks && state_.last_step != nullptr) state_.last_step->keep_schedule();
  schedule->step(metric);
  ++progress_.scheduler_steps;
}

void FitLoop::stop_if_asked() {
  const int signal_number = state_.collective().agreed_signal(StopSignals::requested());
  if (signal_number != 0) save_interrupted(state_, signal_number);
}

}  // namespace polyphony::train
