#include <polyphony/train/evaluation_loop.h>

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/gradients.h>
#include <polyphony/train/precision.h>
#include <polyphony/train/stopping.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {
namespace {

using Hook = void (Callback::*)(Trainer&);
using BatchHook = void (Callback::*)(Trainer&, const data::Batch&, std::int64_t);

template <class H>
struct Named {
  const char* name;
  H hook;
};

/// A stage's hooks of callbacks and task.
struct Hooks {
  Named<Hook> start;
  Named<Hook> epoch_start;
  Named<BatchHook> batch_start;
  Named<BatchHook> batch_end;
  Named<Hook> epoch_end;
  Named<Hook> end;
  const char* step_name;
  void (Task::*step)(const data::Batch&, std::int64_t);
  void (Task::*task_epoch_start)();
  void (Task::*task_epoch_end)();
  const char* task_epoch_end_name;
};

const Hooks& hooks_of(Stage stage) {
  static const Hooks kValidation = {
      {"on_validation_start", &Callback::on_validation_start},
      {"on_validation_epoch_start", &Callback::on_validation_epoch_start},
      {"on_validation_batch_start", &Callback::on_validation_batch_start},
      {"on_validation_batch_end", &Callback::on_validation_batch_end},
      {"on_validation_epoch_end", &Callback::on_validation_epoch_end},
      {"on_validation_end", &Callback::on_validation_end},
      "validation_step",
      &Task::validation_step,
      &Task::on_validation_epoch_start,
      &Task::validation_epoch_end,
      "validation_epoch_end"};
  static const Hooks kTest = {{"on_test_start", &Callback::on_test_start},
                              {"on_test_epoch_start", &Callback::on_test_epoch_start},
                              {"on_test_batch_start", &Callback::on_test_batch_start},
                              {"on_test_batch_end", &Callback::on_test_batch_end},
                              {"on_test_epoch_end", &Callback::on_test_epoch_end},
                              {"on_test_end", &Callback::on_test_end},
                              "test_step",
                              &Task::test_step,
                              &Task::on_test_epoch_start,
                              &Task::test_epoch_end,
                              "test_epoch_end"};
  return stage == Stage::kTest ? kTest : kValidation;
}

double rows_of(const data::Batch& batch) { return static_cast<double>(batch.at("index").size(0)); }

void evaluate_batch(Trainer& trainer, const Hooks& hooks, const data::Batch& batch,
                    std::int64_t index) {
  trainer.metric_log().on_batch_start(rows_of(batch));
  trainer.call(hooks.batch_start.name, hooks.batch_start.hook, batch, index);
  {
    const Profiler::Action action(trainer.profiler(), hooks.step_name);
    const Autocast autocast(trainer.options().precision);
    trainer.set_running_hook(hooks.step_name);
    (trainer.task().*hooks.step)(batch, index);
  }
  trainer.call(hooks.batch_end.name, hooks.batch_end.hook, batch, index);
  trainer.metric_log().on_batch_end();
}

}  // namespace

std::int64_t limited_batches(const data::Loader& loader, const Limit& limit, const char* option) {
  const std::int64_t all = loader.batches();
  const std::int64_t batches = limit.of(all);
  if (batches > 0 || limit.is_zero() || all == 0) return batches;
  throw ConfigError(
      fmt::format("trainer.{}: {} of {} batches is less than one", option, limit.value, all),
      fmt::format("write at least trainer.{}={:.3g}, or a number of batches", option,
                  1.0 / static_cast<double>(all)));
}

MetricValues run_evaluation(Trainer& trainer, data::Loader& loader, Stage stage,
                            std::int64_t batches) {
  const tensor::NoGrad no_grad;
  const Hooks& hooks = hooks_of(stage);
  MetricLog& log = trainer.metric_log();
  Task& task = trainer.task();
  task.set_training(false);
  trainer.strategy().share_buffers();
  const Stage outer = log.enter(stage);
  trainer.call(hooks.start.name, hooks.start.hook);
  log.on_epoch_start();
  trainer.call(hooks.epoch_start.name, hooks.epoch_start.hook);
  (task.*hooks.task_epoch_start)();
  loader.start(0);
  for (std::int64_t index = 0; index < batches; ++index) {
    stop_evaluation_if_asked(trainer);
    std::optional<data::Batch> batch = loader.next();
    if (!batch) continue;  // another process has one batch more
    evaluate_batch(trainer, hooks, trainer.strategy().to_device(std::move(*batch)), index);
  }
  log.epoch_end_reached();
  trainer.set_running_hook(hooks.task_epoch_end_name);
  (task.*hooks.task_epoch_end)();
  trainer.call(hooks.epoch_end.name, hooks.epoch_end.hook);
  log.on_epoch_end();
  MetricValues values;
  if (!trainer.sanity_checking()) {
    const FitProgress& progress = trainer.progress();
    values = log.flush(progress.batches_that_stepped, progress.epoch);
  }
  if (trainer.fitting() && !trainer.sanity_checking()) {
    FitProgress& progress = trainer.progress();
    ++progress.validations;
    progress.point = Point::kValidationEnd;
    progress.callbacks_done = 0;
    trainer.call_resumable(hooks.end.name, hooks.end.hook);
  } else {
    trainer.call(hooks.end.name, hooks.end.hook);
  }
  finish_evaluation(trainer, stage);
  log.enter(outer);
  return values;
}

void finish_evaluation(Trainer& trainer, Stage stage) {
  MetricLog& log = trainer.metric_log();
  const Stage outer = log.enter(stage);
  log.reset_results();
  log.enter(outer);
  log.on_epoch_start();
  if (trainer.fitting()) trainer.task().set_training(true);
}

at::Tensor run_prediction(Trainer& trainer, data::Loader& loader, std::int64_t batches) {
  const tensor::NoGrad no_grad;
  Task& task = trainer.task();
  task.set_training(false);
  const Stage outer = trainer.metric_log().enter(Stage::kPredict);
  trainer.call("on_predict_start", &Callback::on_predict_start);
  trainer.call("on_predict_epoch_start", &Callback::on_predict_epoch_start);
  std::vector<at::Tensor> logits;
  std::vector<at::Tensor> rows;
  loader.start(0);
  for (std::int64_t index = 0; index < batches; ++index) {
    stop_evaluation_if_asked(trainer);
    std::optional<data::Batch> next = loader.next();
    if (!next) continue;  // another process has one batch more
    const data::Batch batch = trainer.strategy().to_device(std::move(*next));
    trainer.call("on_predict_batch_start", &Callback::on_predict_batch_start, batch, index);
    {
      const Profiler::Action action(trainer.profiler(), "predict_step");
      const Autocast autocast(trainer.options().precision);
      trainer.set_running_hook("predict_step");
      logits.push_back(task.predict_step(batch, index).to(at::kFloat));
    }
    rows.push_back(batch.at("index"));
    trainer.call("on_predict_batch_end", &Callback::on_predict_batch_end, batch, index);
  }
  trainer.call("on_predict_epoch_end", &Callback::on_predict_epoch_end);
  trainer.call("on_predict_end", &Callback::on_predict_end);
  trainer.metric_log().enter(outer);
  // Of more processes than rows, some have none.
  if (logits.empty()) return trainer.strategy().gather_rows({}, {});
  return trainer.strategy().gather_rows(at::cat(logits), at::cat(rows));
}

}  // namespace polyphony::train
