#include <polyphony/train/loops/training_step.h>

#include <cmath>

#include <ATen/ops/div.h>
#include <ATen/ops/mul.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/train/loops/trainer_state.h>
#include <polyphony/train/precision.h>

namespace polyphony::train {
namespace {

[[noreturn]] void loss_not_finite(double loss, std::int64_t step, const data::Batch& batch) {
  const at::Tensor index = batch.at("index");
  std::vector<std::int64_t> rows(index.data_ptr<std::int64_t>(),
                                 index.data_ptr<std::int64_t>() + index.numel());
  throw DataError(
      fmt::format("the loss is {} at step {}, rows {}", loss, step, fmt::join(rows, " ")),
      "look at these rows; lower optimizer.lr or set trainer.gradient_clip_val=1.0");
}

/// Limits the gradients as the options say. @return what the optimizer multiplies them by
double clip(TrainerState& state) {
  const double limit = state.options.gradient_clip_val.value_or(0);
  if (limit <= 0) return 1.0;
  const Profiler::Action action(state.profiler, "clip_gradients");
  optim::Optimizer& optimizer = state.optimizer();
  if (state.options.gradient_clip_algorithm == ClipAlgorithm::kValue) {
    optim::clip_grad_value(optimizer, limit);
    return 1.0;
  }
  return optim::clip_scale(optim::grad_norm(optimizer), limit);
}

void optimizer_step(TrainerState& state) {
  optim::Optimizer& optimizer = state.optimizer();
  state.call(kHooks.on_before_optimizer_step, optimizer);
  const double scale = clip(state);
  const Profiler::Action action(state.profiler, "optimizer_step");
  optimizer.step(scale);
  ++state.progress.global_step;
}

}  // namespace

double run_training_step(TrainerState& state, const data::Batch& batch, std::int64_t index,
                         const StepPart& part) {
  const auto sync = part.steps_now ? dist::GradientSync::kNow : dist::GradientSync::kLater;
  Strategy& strategy = state.strategy();
  at::Tensor loss;
  tensor::Value counted;
  if (part.weight == 0) counted = state.task->metric_state();
  {
    const Profiler::Action action(state.profiler, kHooks.training_step.name);
    const Autocast autocast(state.options.precision);
    state.metrics.enter(kHooks.training_step);
    loss = strategy.training_step(*state.task, batch, index, sync);
  }
  if (part.weight == 0) state.task->load_metric_state(counted);
  const auto value = loss.item<double>();
  if (!std::isfinite(value)) loss_not_finite(value, state.progress.global_step, batch);
  const int accumulate = state.accumulate_grad_batches;
  if (index % accumulate == 0) {
    optim::Optimizer& optimizer = state.optimizer();
    state.call(kHooks.on_before_zero_grad, optimizer);
    optimizer.zero_grad(strategy.zero_grad());
    ++state.progress.zero_grads;
  }
  if (part.weight != 1) loss = at::mul(loss, part.weight);
  if (accumulate > 1) loss = at::div(loss, accumulate);
  state.call(kHooks.on_before_backward, loss);
  {
    const Profiler::Action action(state.profiler, "backward");
    strategy.backward(loss, sync);
  }
  state.call(kHooks.on_after_backward);
  if (part.steps_now) optimizer_step(state);
  return value;
}

}  // namespace polyphony::train
