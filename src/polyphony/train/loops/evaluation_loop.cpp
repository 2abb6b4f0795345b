#include <polyphony/train/loops/evaluation_loop.h>

#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/train/loops/stopping.h>
#include <polyphony/train/loops/trainer_state.h>
#include <polyphony/train/precision.h>

namespace polyphony::train {
namespace {

double rows_of(const data::Batch& batch) { return static_cast<double>(batch.at("index").size(0)); }

void evaluate_batch(TrainerState& state, const EvaluationHooks& hooks, const data::Batch& batch,
                    std::int64_t index) {
  state.metrics.on_batch_start(rows_of(batch));
  state.call(hooks.batch_start, batch, index);
  {
    const Profiler::Action action(state.profiler, hooks.step.name);
    const Autocast autocast(state.options.precision);
    state.call(hooks.step, batch, index);
  }
  state.call(hooks.batch_end, batch, index);
  state.metrics.on_batch_end();
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

MetricValues run_evaluation(TrainerState& state, data::Loader& loader, Stage stage,
                            std::int64_t batches) {
  const at::NoGradGuard no_grad;
  const EvaluationHooks& hooks = stage == Stage::kTest ? kTestHooks : kValidationHooks;
  MetricLog& metrics = state.metrics;
  state.task->set_training(false);
  state.strategy().share_buffers();
  const Stage outer = metrics.enter(stage);
  state.call(hooks.start);
  metrics.on_epoch_start();
  state.call(hooks.epoch_start);
  loader.start(0);
  for (std::int64_t index = 0; index < batches; ++index) {
    stop_evaluation_if_asked(state);
    const std::optional<data::Batch> batch = loader.next();
    if (!batch) continue;  // another process has one batch more
    evaluate_batch(state, hooks, batch->to(state.strategy().device()), index);
  }
  metrics.epoch_end_reached();
  state.call(hooks.task_epoch_end);
  state.call(hooks.epoch_end);
  metrics.on_epoch_end();
  FitProgress& progress = state.progress;
  MetricValues values;
  if (!state.sanity_checking) {
    values = metrics.flush(progress.batches_that_stepped, progress.epoch);
  }
  if (state.fitting && !state.sanity_checking) {
    ++progress.validations;
    progress.point = Point::kValidationEnd;
    progress.callbacks_done = 0;
    state.call_resumable(hooks.end);
  } else {
    state.call(hooks.end);
  }
  finish_evaluation(state, stage);
  metrics.enter(outer);
  return values;
}

void finish_evaluation(TrainerState& state, Stage stage) {
  const Stage outer = state.metrics.enter(stage);
  state.metrics.reset_results();
  state.metrics.enter(outer);
  state.metrics.on_epoch_start();
  if (state.fitting) state.task->set_training(true);
}

at::Tensor run_prediction(TrainerState& state, data::Loader& loader, std::int64_t batches) {
  const at::NoGradGuard no_grad;
  const EvaluationHooks& hooks = kPredictHooks;
  state.task->set_training(false);
  const Stage outer = state.metrics.enter(Stage::kPredict);
  state.call(hooks.start);
  state.call(hooks.epoch_start);
  std::vector<at::Tensor> logits;
  std::vector<at::Tensor> rows;
  loader.start(0);
  for (std::int64_t index = 0; index < batches; ++index) {
    stop_evaluation_if_asked(state);
    const std::optional<data::Batch> next = loader.next();
    if (!next) continue;  // another process has one batch more
    const data::Batch batch = next->to(state.strategy().device());
    state.call(hooks.batch_start, batch, index);
    {
      const Profiler::Action action(state.profiler, hooks.step.name);
      const Autocast autocast(state.options.precision);
      state.metrics.enter(hooks.step);
      logits.push_back(state.task->predict_step(batch, index).to(at::kFloat));
    }
    rows.push_back(batch.at("index"));
    state.call(hooks.batch_end, batch, index);
  }
  state.call(hooks.epoch_end);
  state.call(hooks.end);
  state.metrics.enter(outer);
  // Of more processes than rows, some have none.
  if (logits.empty()) return state.collective().gather_rows({}, {});
  return state.collective().gather_rows(at::cat(logits), at::cat(rows));
}

}  // namespace polyphony::train
