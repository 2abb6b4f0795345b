#include <polyphony/optim/plateau.h>

#include <algorithm>

#include <polyphony/config/bind/registry.h>

namespace polyphony::optim {

using tensor::Value;

void ReduceLROnPlateauOptions::describe(config::Fields& f) {
  f("mode", mode, "whether a smaller or a larger metric is better");
  f("factor", factor, "what the rate is multiplied by");
  f.check("factor", factor < 1, "below 1");
  f("patience", patience, "checks without improvement before the rate is cut");
  f("threshold", threshold, "least change that counts as an improvement");
  f("threshold_mode", threshold_mode, "whether threshold is a share of the best value");
  f("cooldown", cooldown, "checks to wait after a cut");
  f("min_lr", min_lr, "least rate");
  f("eps", eps, "least change of the rate");
  describe_timing(f);
}

ReduceLROnPlateau::ReduceLROnPlateau(Options options)
    : Schedule(options),
      options_(std::move(options)),
      best_(options_.mode == PlateauMode::kMin ? std::numeric_limits<double>::infinity()
                                               : -std::numeric_limits<double>::infinity()) {}

void ReduceLROnPlateau::attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) {
  Schedule::attach(optimizer, total_steps);  // which leaves the rates as they are
}

bool ReduceLROnPlateau::improves(double value) const {
  const bool relative = options_.threshold_mode == PlateauThreshold::kRelative;
  if (options_.mode == PlateauMode::kMin) {
    return value < (relative ? best_ * (1. - options_.threshold) : best_ - options_.threshold);
  }
  return value > (relative ? best_ * (options_.threshold + 1.) : best_ + options_.threshold);
}

void ReduceLROnPlateau::step(std::optional<double> metric) {
  if (!metric) return;
  ++seen_;
  if (improves(*metric)) {
    best_ = *metric;
    bad_ = 0;
  } else {
    ++bad_;
  }
  if (cooling_ > 0) {
    --cooling_;
    bad_ = 0;
  }
  if (bad_ <= options_.patience) return;
  for (ParamGroup& group : optimizer().groups()) {
    const double lower = std::max(group.lr * options_.factor, options_.min_lr);
    if (group.lr - lower > options_.eps) group.lr = lower;
  }
  cooling_ = options_.cooldown;
  bad_ = 0;
}

Value ReduceLROnPlateau::state_dict() const {
  Value last = Value::list();
  for (const ParamGroup& group : optimizer().groups()) last.append(Value(group.lr));
  Value state = Value::dict();
  state.set("best", Value(best_));
  state.set("num_bad_epochs", Value(bad_));
  state.set("cooldown_counter", Value(cooling_));
  state.set("last_epoch", Value(seen_));
  state.set("_last_lr", std::move(last));
  return state;
}

void ReduceLROnPlateau::load_state_dict(const Value& state) {
  const Value& best = state.at("best");
  best_ = best.kind() == Value::Kind::kTensor ? best.as_tensor().item<double>() : best.as_float();
  bad_ = state.at("num_bad_epochs").as_int();
  cooling_ = state.at("cooldown_counter").as_int();
  seen_ = state.at("last_epoch").as_int();
}

POLYPHONY_REGISTER(Schedule, ReduceLROnPlateau, "polyphony.optim.ReduceLROnPlateau",
                   "torch.optim.lr_scheduler.ReduceLROnPlateau: cuts the rate on a plateau")

}  // namespace polyphony::optim
