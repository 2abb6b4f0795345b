#include <polyphony/train/trainer.h>

#include <algorithm>
#include <cmath>

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/signals.h>
#include <polyphony/tensor/gradients.h>
#include <polyphony/tensor/seed.h>

namespace polyphony::train {
namespace fs = std::filesystem;
namespace {

void set_value(MetricValues& values, const std::string& name, double value) {
  for (auto& [old_name, old_value] : values) {
    if (old_name == name) {
      old_value = value;
      return;
    }
  }
  values.emplace_back(name, value);
}

std::int64_t rows_of(const data::Batch& batch) { return batch.at("index").size(0); }

[[noreturn]] void loss_not_finite(double loss, std::int64_t step, const data::Batch& batch) {
  const at::Tensor index = batch.at("index");
  std::vector<std::int64_t> rows(index.data_ptr<std::int64_t>(),
                                 index.data_ptr<std::int64_t>() + index.numel());
  throw DataError(
      fmt::format("the loss is {} at step {}, rows {}", loss, step, fmt::join(rows, " ")),
      "look at these rows; lower optimizer.lr or set trainer.gradient_clip_val=1.0");
}

/// Callbacks in the config's order, those that save after all others.
std::vector<Callback*> in_order(const FitParts& parts) {
  std::vector<Callback*> order;
  for (const auto& callback : parts.callbacks) order.push_back(callback.get());
  std::stable_partition(order.begin(), order.end(),
                        [](const Callback* callback) { return !callback->saves_checkpoints(); });
  return order;
}

}  // namespace

void TrainerOptions::describe(config::Fields& f) {
  f("max_epochs", max_epochs, "epochs to train");
  f.check("max_epochs", max_epochs >= 1, "at least 1");
  f("gradient_clip_val", gradient_clip_val,
    "largest norm of all gradients together; null: no limit");
  f.check("gradient_clip_val", !gradient_clip_val || *gradient_clip_val > 0, "above 0");
  f("accumulate_grad_batches", accumulate_grad_batches, "batches whose gradients make one step");
  f.check("accumulate_grad_batches", accumulate_grad_batches >= 1, "at least 1");
  f("log_every_n_steps", log_every_n_steps, "optimizer steps between two step-wise log rows");
  f.check("log_every_n_steps", log_every_n_steps >= 1, "at least 1");
  f("enable_progress_bar", enable_progress_bar, "show progress in the terminal");
  f("enable_model_summary", enable_model_summary, "print the model's layers before the fit");
  f("deterministic", deterministic, "refuse operations that are not reproducible to the bit");
}

Trainer::Trainer(TrainerOptions options, fs::path root, tensor::Value hyper_parameters)
    : options_(std::move(options)),
      root_(std::move(root)),
      hyper_parameters_(std::move(hyper_parameters)) {}

std::optional<double> Trainer::callback_metric(const std::string& name) const {
  for (const auto& [metric, value] : callback_metrics_) {
    if (metric == name) return value;
  }
  return std::nullopt;
}

void Trainer::log(const MetricValues& values) {
  for (const auto& [name, value] : values) set_value(callback_metrics_, name, value);
  for (const auto& logger : parts_->loggers) {
    logger->log(values, position_.global_step, position_.epoch);
  }
}

void Trainer::fit(const FitParts& parts, const fs::path& resume) {
  parts_ = &parts;
  position_ = {};
  should_stop_ = false;
  const StopSignals signals;
  callbacks_ = in_order(parts);
  for (Callback* callback : callbacks_) callback->on_fit_start(*this);
  if (!resume.empty()) restore(resume);
  while (position_.epoch < options_.max_epochs && !should_stop_) {
    train_epoch();
    finish_epoch();
  }
  for (Callback* callback : callbacks_) callback->on_fit_end(*this);
}

void Trainer::train_epoch() {
  parts_->task.set_training(true);
  if (position_.batch == 0) {
    parts_->task.reset_metrics(Stage::kTrain);
    position_.loss_sum = 0;
    position_.rows = 0;
  }
  for (Callback* callback : callbacks_) callback->on_train_epoch_start(*this);
  const std::int64_t batches = parts_->train.batches();
  const std::int64_t group = options_.accumulate_grad_batches;
  parts_->train.start(position_.epoch, position_.batch);
  while (std::optional<data::Batch> batch = parts_->train.next()) {
    const std::int64_t number = position_.batch + 1;
    const bool step_now = number % group == 0 || number == batches;
    train_batch(*batch, step_now, group);
    position_.batch = number;
    for (Callback* callback : callbacks_) callback->on_train_batch_end(*this);
    if (step_now) stop_if_asked();
  }
}

void Trainer::train_batch(const data::Batch& batch, bool step_now, std::int64_t group_size) {
  const StepOutput output = parts_->task.step(batch, Stage::kTrain);
  const double loss = output.loss.item<double>();
  if (!std::isfinite(loss)) loss_not_finite(loss, position_.global_step, batch);
  position_.loss_sum += loss * static_cast<double>(rows_of(batch));
  position_.rows += rows_of(batch);
  tensor::backward(output.loss, 1.0 / static_cast<double>(group_size));
  if (!step_now) return;

  if (options_.gradient_clip_val) {
    gradient_norm_ = parts_->optimizer.clip_grad_norm(*options_.gradient_clip_val);
  }
  const std::int64_t steps_per_epoch = (parts_->train.batches() + group_size - 1) / group_size;
  learning_rate_ =
      parts_->optimizer.base_lr() *
      parts_->schedule.factor(position_.global_step, steps_per_epoch * options_.max_epochs);
  parts_->optimizer.step(learning_rate_);
  parts_->optimizer.zero_grad();
  ++position_.global_step;
  if (position_.global_step % options_.log_every_n_steps == 0) {
    MetricValues values = {{"train_loss_step", loss}, {"lr", learning_rate_}};
    if (options_.gradient_clip_val) values.emplace_back("grad_norm", gradient_norm_);
    log(values);
  }
}

void Trainer::finish_epoch() {
  MetricValues values = parts_->task.metrics(Stage::kTrain);
  values.insert(values.begin(),
                {"train_loss", position_.loss_sum / static_cast<double>(position_.rows)});
  log(values);
  log(evaluate(parts_->task, parts_->val, Stage::kValidate));
  position_.validated = true;
  for (Callback* callback : callbacks_) callback->on_validation_end(*this);
  ++position_.epoch;
  position_.batch = 0;
  position_.validated = false;
}

MetricValues Trainer::evaluate(Task& task, data::Loader& loader, Stage stage) {
  const tensor::NoGrad no_grad;
  task.set_training(false);
  task.reset_metrics(stage);
  double loss_sum = 0;
  std::int64_t rows = 0;
  loader.start(0);
  while (std::optional<data::Batch> batch = loader.next()) {
    const StepOutput output = task.step(*batch, stage);
    loss_sum += output.loss.item<double>() * static_cast<double>(rows_of(*batch));
    rows += rows_of(*batch);
  }
  MetricValues values = task.metrics(stage);
  values.insert(values.begin(), {std::string(prefix(stage)) + "loss",
                                 loss_sum / static_cast<double>(std::max<std::int64_t>(rows, 1))});
  return values;
}

at::Tensor Trainer::predict(Task& task, data::Loader& loader) {
  const tensor::NoGrad no_grad;
  task.set_training(false);
  std::vector<at::Tensor> logits;
  loader.start(0);
  while (std::optional<data::Batch> batch = loader.next()) {
    logits.push_back(task.step(*batch, Stage::kPredict).logits);
  }
  return at::cat(logits);
}

void Trainer::stop_if_asked() {
  const int signal_number = StopSignals::requested();
  if (signal_number == 0) return;
  const fs::path path = checkpoint_directory() / "interrupted.ckpt";
  save_checkpoint(path);
  throw Interrupted(signal_number, path);
}

}  // namespace polyphony::train
