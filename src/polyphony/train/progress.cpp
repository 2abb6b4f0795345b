#include <polyphony/train/progress.h>

#include <utility>

namespace polyphony::train {
namespace {

using tensor::Value;

/// How far something has come, as Lightning counts it: made ready, started, processed, completed.
struct Count {
  std::int64_t ready = 0;
  std::int64_t started = 0;
  std::int64_t processed = 0;
  std::int64_t completed = 0;

  static Count all(std::int64_t n) { return {n, n, n, n}; }
};

/// Over the whole run and since the last reset (an epoch).
struct Progress {
  Count total;
  Count current;
};

/// The counters that a kind of progress keeps in a checkpoint.
enum class Counters { kReadyCompleted, kStarted, kProcessed };

Value value_of(const Count& count, Counters counters) {
  Value value = Value::dict();
  value.set("ready", Value(count.ready));
  value.set("completed", Value(count.completed));
  if (counters != Counters::kReadyCompleted) value.set("started", Value(count.started));
  if (counters == Counters::kProcessed) value.set("processed", Value(count.processed));
  return value;
}

Value value_of(const Progress& progress, Counters counters) {
  Value value = Value::dict();
  value.set("total", value_of(progress.total, counters));
  value.set("current", value_of(progress.current, counters));
  return value;
}

/// Every counter at the same number.
Value even(std::int64_t total, std::int64_t current, Counters counters) {
  return value_of(Progress{Count::all(total), Count::all(current)}, counters);
}

Value evaluation_loop(std::int64_t runs, std::int64_t batches, const std::string& prefix) {
  Value loop = Value::dict();
  loop.set(prefix + "state_dict", Value::dict());
  loop.set(prefix + "dataloader_progress", even(runs, runs > 0 ? 1 : 0, Counters::kReadyCompleted));
  loop.set(prefix + "epoch_loop.state_dict", Value::dict());
  Value progress = even(batches, batches, Counters::kProcessed);
  progress.set("is_last_batch", Value(batches > 0));
  loop.set(prefix + "epoch_loop.batch_progress", std::move(progress));
  return loop;
}

Value optimizer_progress(const FitProgress& p) {
  Value optimizer = Value::dict();
  optimizer.set("step", even(p.global_step, p.global_step, Counters::kReadyCompleted));
  optimizer.set("zero_grad", even(p.zero_grads, p.zero_grads, Counters::kStarted));
  Value progress = Value::dict();
  progress.set("optimizer", std::move(optimizer));
  progress.set("optimizer_position", Value(std::int64_t{1}));
  return progress;
}

void take_all(Value& into, const Value& from) {
  for (const auto& [key, value] : from.entries()) into.set(key, value);
}

}  // namespace

Value loops_of(const FitProgress& p, std::int64_t val_batches) {
  const bool in_batch = p.point == Point::kBatchEnd || p.point == Point::kStepDone;
  Progress batches{Count::all(p.total_batches), Count::all(p.batch)};
  Progress epochs{Count::all(p.epoch), Count::all(p.epoch)};
  if (in_batch) {
    --batches.total.completed;
    --batches.current.completed;
  }
  if (p.point != Point::kEpochStart || p.epoch > 0) {
    const bool open = p.point != Point::kEpochStart;
    const std::int64_t begun = p.epoch + (open ? 1 : 0);
    const std::int64_t processed = p.epoch + (p.point == Point::kEpochEnd ? 1 : 0);
    epochs.total = epochs.current = {begun, begun, processed, p.epoch};
  }
  Value batch_progress = value_of(batches, Counters::kProcessed);
  batch_progress.set("is_last_batch", Value(p.last_batch));
  Value stepped = Value::dict();
  stepped.set("_batches_that_stepped", Value(p.batches_that_stepped));

  Value fit = Value::dict();
  fit.set("state_dict", Value::dict());
  fit.set("epoch_loop.state_dict", std::move(stepped));
  fit.set("epoch_loop.batch_progress", std::move(batch_progress));
  fit.set("epoch_loop.scheduler_progress",
          even(p.scheduler_steps, p.scheduler_steps, Counters::kReadyCompleted));
  fit.set("epoch_loop.batch_loop.state_dict", Value::dict());
  fit.set("epoch_loop.batch_loop.optimizer_loop.state_dict", Value::dict());
  fit.set("epoch_loop.batch_loop.optimizer_loop.optim_progress", optimizer_progress(p));
  fit.set("epoch_loop.batch_loop.manual_loop.state_dict", Value::dict());
  fit.set("epoch_loop.batch_loop.manual_loop.optim_step_progress",
          even(0, 0, Counters::kReadyCompleted));
  take_all(fit, evaluation_loop(p.validations, p.validations > 0 ? val_batches : 0,
                                "epoch_loop.val_loop."));
  fit.set("epoch_progress", value_of(epochs, Counters::kProcessed));

  Value loops = Value::dict();
  loops.set("fit_loop", std::move(fit));
  loops.set("validate_loop", evaluation_loop(0, 0, ""));
  loops.set("test_loop", evaluation_loop(0, 0, ""));
  Value predict = Value::dict();
  predict.set("state_dict", Value::dict());
  predict.set("dataloader_progress", even(0, 0, Counters::kReadyCompleted));
  predict.set("epoch_loop.state_dict", Value::dict());
  predict.set("epoch_loop.batch_progress", even(0, 0, Counters::kProcessed));
  loops.set("predict_loop", std::move(predict));
  return loops;
}

FitProgress progress_of(const Value& checkpoint) {
  FitProgress p;
  p.epoch = checkpoint.at("epoch").as_int();
  p.global_step = checkpoint.at("global_step").as_int();
  p.batches_that_stepped = p.global_step;
  const Value* loops = checkpoint.find("loops");
  const Value* fit = loops == nullptr ? nullptr : loops->find("fit_loop");
  if (fit == nullptr) return p;
  const Value& batches = fit->at("epoch_loop.batch_progress");
  const Value& epochs = fit->at("epoch_progress").at("current");
  // What was processed is done, though its last hooks were still running when it was saved.
  p.total_batches = batches.at("total").at("processed").as_int();
  p.batch = batches.at("current").at("processed").as_int();
  p.epoch = epochs.at("processed").as_int();
  const bool unfinished = epochs.at("started").as_int() > p.epoch;
  p.point = unfinished ? Point::kBatchStart : Point::kEpochStart;
  if (!unfinished) p.batch = 0;
  return p;
}

Value position_of(const FitProgress& p) {
  Value value = Value::dict();
  value.set("epoch", Value(p.epoch));
  value.set("batch", Value(p.batch));
  value.set("total_batches", Value(p.total_batches));
  value.set("global_step", Value(p.global_step));
  value.set("batches_that_stepped", Value(p.batches_that_stepped));
  value.set("scheduler_steps", Value(p.scheduler_steps));
  value.set("zero_grads", Value(p.zero_grads));
  value.set("validations", Value(p.validations));
  value.set("point", Value(static_cast<std::int64_t>(p.point)));
  value.set("callbacks_done", Value(p.callbacks_done));
  value.set("last_batch", Value(p.last_batch));
  if (p.check_due) value.set("check_due", Value(*p.check_due));
  return value;
}

FitProgress progress_at(const Value& value) {
  FitProgress p;
  p.epoch = value.at("epoch").as_int();
  p.batch = value.at("batch").as_int();
  p.total_batches = value.at("total_batches").as_int();
  p.global_step = value.at("global_step").as_int();
  p.batches_that_stepped = value.at("batches_that_stepped").as_int();
  p.scheduler_steps = value.at("scheduler_steps").as_int();
  p.zero_grads = value.at("zero_grads").as_int();
  p.validations = value.at("validations").as_int();
  p.point = static_cast<Point>(value.at("point").as_int());
  p.callbacks_done = value.at("callbacks_done").as_int();
  p.last_batch = value.at("last_batch").as_bool();
  if (const Value* due = value.find("check_due")) p.check_due = due->as_bool();
  return p;
}

}  // namespace polyphony::train
