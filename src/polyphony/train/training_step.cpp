#include <polyphony/train/training_step.h>

#include <cmath>

#include <ATen/ops/div.h>
#include <ATen/ops/mul.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/train/precision.h>
#include <polyphony/train/trainer.h>

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
double clip(Trainer& trainer) {
  const TrainerOptions& options = trainer.options();
  const double limit = options.gradient_clip_val.value_or(0);
  if (limit <= 0) return 1.0;
  const Profiler::Action action(trainer.profiler(), "clip_gradients");
  if (options.gradient_clip_algorithm == ClipAlgorithm::kValue) {
    optim::clip_grad_value(trainer.optimizer(), limit);
    return 1.0;
  }
  return optim::clip_scale(optim::grad_norm(trainer.optimizer()), limit);
}

void optimizer_step(Trainer& trainer) {
  optim::Optimizer& optimizer = trainer.optimizer();
  trainer.call("on_before_optimizer_step", &Callback::on_before_optimizer_step, optimizer);
  trainer.task().on_before_optimizer_step(optimizer);
  const double scale = clip(trainer);
  const Profiler::Action action(trainer.profiler(), "optimizer_step");
  optimizer.step(scale);
  ++trainer.progress().global_step;
}

}  // namespace

double run_training_step(Trainer& trainer, const data::Batch& batch, std::int64_t index,
                         const StepPart& part) {
  const GradientSync sync = part.steps_now ? GradientSync::kNow : GradientSync::kLater;
  Strategy& strategy = trainer.strategy();
  at::Tensor loss;
  tensor::Value counted;
  if (part.weight == 0) counted = trainer.task().metric_state();
  {
    const Profiler::Action action(trainer.profiler(), "training_step");
    const Autocast autocast(trainer.options().precision);
    trainer.set_running_hook("training_step");
    loss = strategy.training_step(trainer.task(), batch, index, sync);
  }
  if (part.weight == 0) trainer.task().load_metric_state(counted);
  const auto value = loss.item<double>();
  if (!std::isfinite(value)) loss_not_finite(value, trainer.global_step(), batch);
  const int accumulate = trainer.accumulate_grad_batches();
  if (index % accumulate == 0) {
    trainer.call("on_before_zero_grad", &Callback::on_before_zero_grad, trainer.optimizer());
    trainer.optimizer().zero_grad(strategy.zero_grad());
    ++trainer.progress().zero_grads;
  }
  if (part.weight != 1) loss = at::mul(loss, part.weight);
  if (accumulate > 1) loss = at::div(loss, accumulate);
  trainer.call("on_before_backward", &Callback::on_before_backward, loss);
  {
    const Profiler::Action action(trainer.profiler(), "backward");
    strategy.backward(loss, sync);
  }
  trainer.call("on_after_backward", &Callback::on_after_backward);
  if (part.steps_now) optimizer_step(trainer);
  return value;
}

}  // namespace polyphony::train
