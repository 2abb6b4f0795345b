#include <polyphony/train/loops/resume_rates.h>

#include <algorithm>

#include <fmt/format.h>

namespace polyphony::train {
namespace {

using tensor::Value;

std::vector<double> first_rates(const optim::Optimizer& optimizer) {
  std::vector<double> rates;
  for (const optim::ParamGroup& group : optimizer.groups()) rates.push_back(group.initial_lr);
  return rates;
}

double rate_of(const optim::Optimizer& optimizer) { return optimizer.groups().front().lr; }

/// The configured first rates in the place of the checkpoint's, and rates changed by as much.
void take_first_rates(optim::Optimizer& optimizer, const std::vector<double>& configured) {
  std::size_t g = 0;
  for (optim::ParamGroup& group : optimizer.groups()) {
    const double first = configured[g++];
    group.lr = group.initial_lr > 0 ? group.lr * (first / group.initial_lr) : first;
    group.initial_lr = first;
  }
}

/// How often the schedule has been moved.
std::int64_t moves(const TrainerState& state, const Value* saved) {
  const Value* last = saved == nullptr ? nullptr : saved->find("last_epoch");
  if (last != nullptr) return last->as_int();
  const optim::ScheduleTiming& timing = state.schedule()->timing();
  const bool steps = timing.interval == optim::Interval::kStep;
  return (steps ? state.progress.global_step : state.progress.epoch) / timing.frequency;
}

/// Puts the schedule at its beginning, for the planned steps.
void attach(TrainerState& state) {
  for (optim::ParamGroup& group : state.optimizer().groups()) group.lr = group.initial_lr;
  state.schedule()->attach(state.optimizer(), state.total_steps);
}

/// Begins the schedule anew and moves it as often as before.
void replay(TrainerState& state, const Value* saved) {
  optim::Schedule& schedule = *state.schedule();
  std::int64_t count = moves(state, saved);
  const std::optional<std::int64_t> total = state.total_steps;
  if (total && schedule.timing().interval == optim::Interval::kStep) {
    count = std::min(count, *total);  // of a fit that is over
  }
  attach(state);
  for (std::int64_t i = 0; i < count; ++i) schedule.step();
}

std::string steps(std::optional<std::int64_t> count) {
  return count ? std::to_string(*count) : "unlimited";
}

}  // namespace

std::vector<std::string> restore_rates(TrainerState& state, const Value& saved,
                                       const Value* schedule,
                                       std::optional<std::int64_t> steps_before) {
  optim::Optimizer& optimizer = state.optimizer();
  const ResumeChoice choice = state.resume_choice;
  const std::vector<double> configured = first_rates(optimizer);
  // It was attached before the checkpoint said how many steps there are.
  const bool planned = state.total_steps == state.trainer.estimated_stepping_batches();
  if (!planned && state.schedule() != nullptr && state.has_configured_schedule()) attach(state);
  optimizer.load_state_dict(saved);
  const double before = rate_of(optimizer);
  if (choice.rates) take_first_rates(optimizer, configured);
  const bool other_steps = state.total_steps != steps_before;
  optim::Schedule* moved = state.schedule();
  if (moved == nullptr) {
    if (choice.schedule && schedule != nullptr) {  // there is none any more
      for (optim::ParamGroup& group : optimizer.groups()) group.lr = group.initial_lr;
    }
    return {};
  }
  const bool replays = moved->on_plateau() || !state.has_configured_schedule()
                           ? false
                           : other_steps || choice.rates || choice.schedule;
  if (!replays) {
    if (schedule != nullptr && !choice.schedule) moved->load_state_dict(*schedule);
    return {};
  }
  replay(state, schedule);
  if (!other_steps && rate_of(optimizer) == before) return {};
  return {
      fmt::format("{} steps in all instead of {}: from step {} on the schedule follows the new "
                  "curve, with a rate of {:.4g} instead of {:.4g}",
                  steps(state.total_steps), steps(steps_before), state.progress.global_step,
                  rate_of(optimizer), before)};
}

}  // namespace polyphony::train
