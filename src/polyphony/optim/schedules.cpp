#include <polyphony/optim/schedules.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>

namespace polyphony::optim {
namespace {

using std::numbers::pi;
using tensor::Value;

/// Half a cosine from `from` (share 0) to `to` (share 1), as PyTorch writes it.
double cosine_between(double from, double to, double share) {
  return to + (from - to) / 2.0 * (std::cos(pi * share) + 1);
}

}  // namespace

void LinearWarmupOptions::describe(config::Fields& f) {
  f("warmup_steps", warmup_steps, "steps in which the rate rises from 0");
  f.check("warmup_steps", warmup_steps >= 0, "at least 0");
  f("warmup_ratio", warmup_ratio, "share of all steps, in place of warmup_steps");
  f.check("warmup_ratio", !warmup_ratio || (*warmup_ratio >= 0 && *warmup_ratio <= 1), "in [0, 1]");
  f("decay", decay, "fall to 0 at the last step");
  f("total_steps", total_steps, "the last step; null: that of the run");
  describe_timing(f);
}

void LinearWarmup::attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) {
  if (options_.total_steps) total_steps = options_.total_steps;
  if (options_.decay || options_.warmup_ratio) total_ = known_total(total_steps, "LinearWarmup");
  warmup_ = options_.warmup_ratio
                ? static_cast<std::int64_t>(static_cast<double>(total_) * *options_.warmup_ratio)
                : options_.warmup_steps;
  Schedule::attach(optimizer, total_steps);
}

double LinearWarmup::rate(double, double base) const {
  const auto step = static_cast<double>(last_epoch());
  if (last_epoch() < warmup_) return base * (step / static_cast<double>(warmup_));
  if (!options_.decay) return base;
  const auto left = static_cast<double>(total_ - last_epoch());
  const auto span = static_cast<double>(std::max<std::int64_t>(1, total_ - warmup_));
  return base * std::max(0.0, left / span);
}

Value LinearWarmup::state_dict() const {
  Value state = Schedule::state_dict();
  Value lambdas = Value::list();
  for (std::size_t g = 0; g < group_count(); ++g) lambdas.append(Value());
  state.set("lr_lambdas", std::move(lambdas));
  return state;
}

void CosineAnnealingLROptions::describe(config::Fields& f) {
  f.required("T_max", t_max, "steps of half a cosine");
  f.check("T_max", t_max >= 1, "at least 1");
  f("eta_min", eta_min, "least rate");
  describe_timing(f);
}

double CosineAnnealingLR::rate(double current, double base) const {
  const auto epoch = static_cast<double>(last_epoch());
  const auto t_max = static_cast<double>(options_.t_max);
  if (last_epoch() == 0) return current;
  if (options_.t_max == 0) return rate_at(current, base);
  if (step_count() == 1 && last_epoch() > 0) return rate_at(current, base);
  if ((last_epoch() - 1 - options_.t_max) % (2 * options_.t_max) == 0) {
    return current + (base - options_.eta_min) * (1 - std::cos(pi / t_max)) / 2;
  }
  return (1 + std::cos(pi * epoch / t_max)) / (1 + std::cos(pi * (epoch - 1) / t_max)) *
             (current - options_.eta_min) +
         options_.eta_min;
}

double CosineAnnealingLR::rate_at(double, double base) const {
  if (options_.t_max == 0) {
    throw ConfigError("CosineAnnealingLR: no step is left for the cosine (T_max is 0)",
                      "choose a warm-up that ends before the run does, e.g. warmup_ratio=0.1");
  }
  const double share = static_cast<double>(last_epoch()) / static_cast<double>(options_.t_max);
  return options_.eta_min + (base - options_.eta_min) * (1 + std::cos(pi * share)) / 2;
}

Value CosineAnnealingLR::state_dict() const {
  Value state = Schedule::state_dict();
  state.set("T_max", Value(options_.t_max));
  state.set("eta_min", Value(options_.eta_min));
  return state;
}

void LinearLROptions::describe(config::Fields& f) {
  f("start_factor", start_factor, "factor of the first step");
  f.check("start_factor", start_factor > 0 && start_factor <= 1, "in (0, 1]");
  f("end_factor", end_factor, "factor at the end");
  f.check("end_factor", end_factor >= 0 && end_factor <= 1, "in [0, 1]");
  f("total_iters", total_iters, "steps from one to the other");
  f.check("total_iters", total_iters >= 1, "at least 1");
  describe_timing(f);
}

double LinearLR::rate(double current, double base) const {
  if (last_epoch() == 0) return base * options_.start_factor;
  if (last_epoch() > options_.total_iters) return current;
  const double change = options_.end_factor - options_.start_factor;
  return current *
         (1. + change / (static_cast<double>(options_.total_iters) * options_.start_factor +
                         static_cast<double>(last_epoch() - 1) * change));
}

double LinearLR::rate_at(double, double base) const {
  const auto done = static_cast<double>(std::min(options_.total_iters, last_epoch()));
  return base * (options_.start_factor + (options_.end_factor - options_.start_factor) * done /
                                             static_cast<double>(options_.total_iters));
}

void StepLROptions::describe(config::Fields& f) {
  f.required("step_size", step_size, "steps between two changes");
  f.check("step_size", step_size >= 1, "at least 1");
  f("gamma", gamma, "factor of each change");
  describe_timing(f);
}

double StepLR::rate(double current, double) const {
  const bool changes = last_epoch() > 0 && last_epoch() % options_.step_size == 0;
  return changes ? current * options_.gamma : current;
}

double StepLR::rate_at(double, double base) const {
  return base * std::pow(options_.gamma, static_cast<double>(last_epoch() / options_.step_size));
}

void MultiStepLROptions::describe(config::Fields& f) {
  f.required("milestones", milestones, "steps at which the rate changes");
  f("gamma", gamma, "factor of each change");
  describe_timing(f);
}

double MultiStepLR::rate(double current, double) const {
  const auto here =
      std::count(options_.milestones.begin(), options_.milestones.end(), last_epoch());
  return here == 0 ? current : current * std::pow(options_.gamma, static_cast<double>(here));
}

double MultiStepLR::rate_at(double, double base) const {
  const auto passed = std::count_if(options_.milestones.begin(), options_.milestones.end(),
                                    [&](std::int64_t at) { return at <= last_epoch(); });
  return base * std::pow(options_.gamma, static_cast<double>(passed));
}

void ExponentialLROptions::describe(config::Fields& f) {
  f.required("gamma", gamma, "factor of each step");
  describe_timing(f);
}

double ExponentialLR::rate(double current, double) const {
  return last_epoch() == 0 ? current : current * options_.gamma;
}

double ExponentialLR::rate_at(double, double base) const {
  return base * std::pow(options_.gamma, static_cast<double>(last_epoch()));
}

void CosineAnnealingWarmRestartsOptions::describe(config::Fields& f) {
  f.required("T_0", t_0, "steps of the first half cosine");
  f.check("T_0", t_0 >= 1, "at least 1");
  f("T_mult", t_mult, "how many times longer each next one is");
  f.check("T_mult", t_mult >= 1, "at least 1");
  f("eta_min", eta_min, "least rate");
  describe_timing(f);
}

double CosineAnnealingWarmRestarts::rate(double, double base) const {
  std::int64_t at = last_epoch();
  std::int64_t length = options_.t_0;
  while (at >= length) {
    at -= length;
    length *= options_.t_mult;
  }
  return options_.eta_min +
         (base - options_.eta_min) *
             (1 + std::cos(pi * static_cast<double>(at) / static_cast<double>(length))) / 2;
}

void OneCycleLROptions::describe(config::Fields& f) {
  f.required("max_lr", max_lr, "highest rate");
  f("total_steps", total_steps, "steps of the cycle; null: those of the run");
  f("pct_start", pct_start, "share of the steps in which the rate rises");
  f.check("pct_start", pct_start >= 0 && pct_start <= 1, "in [0, 1]");
  f("div_factor", div_factor, "max_lr over the first rate");
  f("final_div_factor", final_div_factor, "the first rate over the last");
  describe_timing(f);
}

void OneCycleLR::attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) {
  total_ = options_.total_steps ? *options_.total_steps : known_total(total_steps, "OneCycleLR");
  for (ParamGroup& group : optimizer.groups())
    group.initial_lr = options_.max_lr / options_.div_factor;
  Schedule::attach(optimizer, total_steps);
}

double OneCycleLR::rate(double, double base) const {
  // As PyTorch: a run of total_steps steps moves the schedule once more, behind its last step.
  if (last_epoch() > total_) {
    throw ConfigError(
        fmt::format("OneCycleLR: moved {} times; total_steps is {}", last_epoch(), total_),
        "raise total_steps, or leave it out: null is the steps of the run");
  }
  const auto step = static_cast<double>(last_epoch());
  const double top = options_.pct_start * static_cast<double>(total_) - 1;
  const auto end = static_cast<double>(total_ - 1);
  const double last = base / options_.final_div_factor;
  // If a phase has no length PyTorch divides by zero; here it is left out.
  if (step <= top) {
    return top > 0 ? cosine_between(base, options_.max_lr, step / top) : options_.max_lr;
  }
  return end > top ? cosine_between(options_.max_lr, last, (step - top) / (end - top)) : last;
}

void WarmupCosineOptions::describe(config::Fields& f) {
  f("warmup_ratio", warmup_ratio, "share of all steps in which the rate rises from 0");
  f.check("warmup_ratio", warmup_ratio >= 0 && warmup_ratio < 1, "in [0, 1)");
  f("eta_min_ratio", eta_min_ratio, "share of the rate that is left at the end");
  f.check("eta_min_ratio", eta_min_ratio >= 0 && eta_min_ratio <= 1, "in [0, 1]");
  describe_timing(f);
}

void WarmupCosine::attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) {
  const std::int64_t total = known_total(total_steps, "WarmupCosine");
  const auto warmup = static_cast<std::int64_t>(static_cast<double>(total) * options_.warmup_ratio);
  LinearWarmupOptions rise;
  rise.warmup_steps = warmup;
  rise.decay = false;
  CosineAnnealingLROptions fall;
  fall.t_max = total - warmup;
  fall.eta_min = optimizer.groups().front().lr * options_.eta_min_ratio;
  std::vector<std::unique_ptr<Schedule>> parts;
  parts.push_back(std::make_unique<LinearWarmup>(rise));
  parts.push_back(std::make_unique<CosineAnnealingLR>(fall));
  inner_ =
      std::make_unique<SequentialLR>(options_, std::move(parts), std::vector<std::int64_t>{warmup});
  inner_->attach(optimizer, total_steps);
}

POLYPHONY_REGISTER(Schedule, Constant, "polyphony.optim.Constant",
                   "the optimizer's own rate throughout")
POLYPHONY_REGISTER(Schedule, LinearWarmup, "polyphony.optim.LinearWarmup",
                   "LambdaLR: linear warm-up, then linearly down to 0")
POLYPHONY_REGISTER(Schedule, CosineAnnealingLR, "polyphony.optim.CosineAnnealingLR",
                   "torch.optim.lr_scheduler.CosineAnnealingLR")
POLYPHONY_REGISTER(Schedule, LinearLR, "polyphony.optim.LinearLR",
                   "torch.optim.lr_scheduler.LinearLR")
POLYPHONY_REGISTER(Schedule, StepLR, "polyphony.optim.StepLR", "torch.optim.lr_scheduler.StepLR")
POLYPHONY_REGISTER(Schedule, MultiStepLR, "polyphony.optim.MultiStepLR",
                   "torch.optim.lr_scheduler.MultiStepLR")
POLYPHONY_REGISTER(Schedule, ExponentialLR, "polyphony.optim.ExponentialLR",
                   "torch.optim.lr_scheduler.ExponentialLR")
POLYPHONY_REGISTER(Schedule, CosineAnnealingWarmRestarts,
                   "polyphony.optim.CosineAnnealingWarmRestarts",
                   "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts")
POLYPHONY_REGISTER(Schedule, OneCycleLR, "polyphony.optim.OneCycleLR",
                   "torch.optim.lr_scheduler.OneCycleLR")
POLYPHONY_REGISTER(Schedule, WarmupCosine, "polyphony.optim.WarmupCosine",
                   "linear warm-up, then half a cosine, over the steps of the run")

}  // namespace polyphony::optim
