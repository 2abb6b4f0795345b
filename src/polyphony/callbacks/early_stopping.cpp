#include <polyphony/callbacks/early_stopping.h>

#include <cmath>

#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/callbacks/monitor.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

void EarlyStoppingOptions::describe(config::Fields& f) {
  f.required("monitor", monitor, "metric to watch, e.g. val_MulticlassF1Score");
  f("mode", mode, "whether a smaller or a larger value is better");
  f("patience", patience, "validations without improvement before stopping");
  f.check("patience", patience >= 0, "at least 0");
  f("min_delta", min_delta, "least change that counts as an improvement");
  f("strict", strict, "fail where the metric is not among those logged");
  f("check_finite", check_finite, "stop when the metric becomes NaN or infinite");
  f("stopping_threshold", stopping_threshold, "stop once the metric is better than this");
  f("divergence_threshold", divergence_threshold, "stop once the metric is worse than this");
  f("check_on_train_epoch_end", check_on_train_epoch_end,
    "check after the training epoch, not after validation; null: where validation ends the epoch");
  f("verbose", verbose, "print each improvement");
}

EarlyStopping::EarlyStopping(Options options)
    : options_(std::move(options)), best_(static_cast<float>(worst(options_.mode))) {}

void EarlyStopping::setup(train::Trainer& trainer) {
  const train::TrainerOptions& options = trainer.options();
  on_train_epoch_end_ = options_.check_on_train_epoch_end.value_or(
      options.val_check_interval.value == 1.0 && options.check_val_every_n_epoch == 1);
}

void EarlyStopping::on_fit_start(train::Trainer& trainer) {
  if (wait_ > 0 && wait_ >= options_.patience) trainer.request_stop();
}

bool EarlyStopping::improves(float value) const {
  const auto delta = static_cast<float>(std::abs(options_.min_delta));
  return better(options_.mode, options_.mode == Mode::kMin ? value + delta : value - delta, best_);
}

std::string EarlyStopping::observe(float value) {
  if (options_.check_finite && !std::isfinite(value)) {
    return fmt::format("{} = {} is not finite (best before: {:.3f})", options_.monitor, value,
                       best_);
  }
  const auto beyond = [&](const std::optional<double>& threshold) {
    return threshold ? static_cast<float>(*threshold) : 0.0F;
  };
  if (options_.stopping_threshold &&
      better(options_.mode, value, beyond(options_.stopping_threshold))) {
    return fmt::format("{} = {:.4f} passed the stopping threshold {}", options_.monitor, value,
                       *options_.stopping_threshold);
  }
  if (options_.divergence_threshold &&
      better(options_.mode, beyond(options_.divergence_threshold), value)) {
    return fmt::format("{} = {:.4f} passed the divergence threshold {}", options_.monitor, value,
                       *options_.divergence_threshold);
  }
  if (improves(value)) {
    best_ = value;
    wait_ = 0;
    return "";
  }
  if (++wait_ < options_.patience) return "";
  return fmt::format("{} did not improve in the last {} validations (best: {:.4f})",
                     options_.monitor, wait_, best_);
}

void EarlyStopping::on_train_epoch_end(train::Trainer& trainer) {
  if (on_train_epoch_end_) check(trainer);
}

void EarlyStopping::on_validation_end(train::Trainer& trainer) {
  if (!on_train_epoch_end_) check(trainer);
}

void EarlyStopping::check(train::Trainer& trainer) {
  if (!trainer.fitting() || trainer.sanity_checking()) return;
  if (trainer.options().fast_dev_run.count > 0) return;
  const std::optional<double> value = monitored(trainer, options_.monitor, name(), options_.strict);
  if (!value) return;
  ++revision_;
  const float best = best_;
  const std::string reason = observe(static_cast<float>(*value));
  if (options_.verbose && trainer.is_global_zero() && best_ != best) {
    inform("{} improved to {:.4f}", options_.monitor, best_);
  }
  if (!trainer.collective().any(!reason.empty())) return;
  stopped_epoch_ = trainer.current_epoch();
  if (trainer.is_global_zero()) inform("early stopping: {}", reason);
  trainer.request_stop();
}

std::string EarlyStopping::state_key() const {
  return fmt::format("EarlyStopping{{'monitor': '{}', 'mode': '{}'}}", options_.monitor,
                     config::show(options_.mode));
}

tensor::Value EarlyStopping::state_dict() const {
  using tensor::Value;
  Value state = Value::dict();
  state.set("wait_count", Value(wait_));
  state.set("stopped_epoch", Value(stopped_epoch_));
  state.set("best_score", Value(at::scalar_tensor(best_, at::kFloat)));
  state.set("patience", Value(std::int64_t{options_.patience}));
  return state;
}

void EarlyStopping::load_state_dict(const tensor::Value& state) {
  using tensor::Value;
  wait_ = state.at("wait_count").as_int();
  stopped_epoch_ = state.at("stopped_epoch").as_int();
  const Value& best = state.at("best_score");
  best_ = best.kind() == Value::Kind::kTensor ? best.as_tensor().item<float>()
                                              : static_cast<float>(best.as_float());
}

POLYPHONY_REGISTER(train::Callback, EarlyStopping, "polyphony.callbacks.EarlyStopping",
                   "stops the fit when the monitored metric stops improving")
}  // namespace polyphony::callbacks
