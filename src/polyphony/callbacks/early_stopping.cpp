#include <polyphony/callbacks/early_stopping.h>

#include <cmath>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/callbacks/monitor.h>
#include <polyphony/config/registry.h>
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
  f("verbose", verbose, "print each improvement");
}

EarlyStopping::EarlyStopping(Options options)
    : options_(std::move(options)), best_(worst(options_.mode)) {}

bool EarlyStopping::improves(double value) const {
  const double delta = std::abs(options_.min_delta);
  return better(options_.mode, options_.mode == Mode::kMin ? value + delta : value - delta, best_);
}

std::string EarlyStopping::observe(double value) {
  if (options_.check_finite && !std::isfinite(value)) {
    return fmt::format("{} = {} is not finite (best before: {:.3f})", options_.monitor, value,
                       best_);
  }
  if (options_.stopping_threshold && better(options_.mode, value, *options_.stopping_threshold)) {
    return fmt::format("{} = {:.4f} passed the stopping threshold {}", options_.monitor, value,
                       *options_.stopping_threshold);
  }
  if (options_.divergence_threshold &&
      better(options_.mode, *options_.divergence_threshold, value)) {
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

void EarlyStopping::on_validation_end(train::Trainer& trainer) {
  const std::optional<double> value =
      monitored(trainer, options_.monitor, "EarlyStopping", options_.strict);
  if (!value) return;
  const std::string reason = observe(*value);
  if (reason.empty()) return;
  stopped_epoch_ = trainer.current_epoch();
  fmt::print("early stopping: {}\n", reason);
  trainer.request_stop();
}

std::string EarlyStopping::state_key() const {
  return fmt::format("EarlyStopping{{'monitor': '{}', 'mode': '{}'}}", options_.monitor,
                     config::show(options_.mode));
}

tensor::Value EarlyStopping::state() const {
  tensor::Value state = tensor::Value::dict();
  state.set("wait_count", tensor::Value(std::int64_t{wait_}));
  state.set("stopped_epoch", tensor::Value(stopped_epoch_));
  state.set("best_score", tensor::Value(best_));
  state.set("patience", tensor::Value(std::int64_t{options_.patience}));
  return state;
}

void EarlyStopping::load_state(const tensor::Value& state) {
  wait_ = static_cast<int>(state.at("wait_count").as_int());
  stopped_epoch_ = state.at("stopped_epoch").as_int();
  best_ = state.at("best_score").as_float();
}

POLYPHONY_REGISTER(train::Callback, EarlyStopping, "polyphony.callbacks.EarlyStopping",
                   "stops the fit when the monitored metric stops improving")
}  // namespace polyphony::callbacks
