#include <polyphony/optim/schedule.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>

namespace polyphony::optim {

using tensor::Value;

void ScheduleTiming::describe_timing(config::Fields& f) {
  f("interval", interval, "move after each optimizer step, or after each epoch");
  f("frequency", frequency, "intervals between two moves");
  f.check("frequency", frequency >= 1, "at least 1");
  f("monitor", monitor, "metric that a plateau is judged by");
  f("strict", strict, "fail where the monitored metric was not logged");
  f("name", name, "what LearningRateMonitor calls it; null: lr-OPTIMIZER");
}

void Schedule::attach_to(Optimizer& optimizer, std::optional<std::int64_t>) {
  optimizer_ = &optimizer;
  base_.clear();
  for (const ParamGroup& group : optimizer.groups()) base_.push_back(group.initial_lr);
}

void Schedule::attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) {
  attach_to(optimizer, total_steps);
  last_epoch_ = -1;
  step_count_ = 0;
  Schedule::step();
}

void Schedule::move_to(std::int64_t epoch, bool from_base) {
  const std::int64_t before = std::exchange(last_epoch_, epoch);
  ++step_count_;
  std::vector<double> rates;
  try {
    for (const ParamGroup& group : optimizer_->groups()) {
      const double base = base_[rates.size()];
      rates.push_back(from_base ? rate_at(group.lr, base) : rate(group.lr, base));
    }
  } catch (...) {  // a schedule that fails stays where it was
    last_epoch_ = before;
    --step_count_;
    throw;
  }
  std::size_t g = 0;
  for (ParamGroup& group : optimizer_->groups()) group.lr = rates[g++];
}

void Schedule::step(std::optional<double>) { move_to(last_epoch_ + 1, /*from_base=*/false); }

void Schedule::jump(std::int64_t epoch) { move_to(epoch, /*from_base=*/true); }

Value Schedule::state_dict() const {
  Value base = Value::list();
  for (const double lr : base_) base.append(Value(lr));
  Value last = Value::list();
  for (const ParamGroup& group : optimizer_->groups()) last.append(Value(group.lr));
  Value state = Value::dict();
  state.set("base_lrs", std::move(base));
  state.set("last_epoch", Value(last_epoch_));
  state.set("verbose", Value(false));
  state.set("_step_count", Value(step_count_));
  state.set("_get_lr_called_within_step", Value(false));
  state.set("_last_lr", std::move(last));
  return state;
}

void Schedule::load_state_dict(const Value& state) {
  last_epoch_ = state.at("last_epoch").as_int();
  const Value* count = state.find("_step_count");
  if (count != nullptr) step_count_ = count->as_int();
  const Value* base = state.find("base_lrs");
  if (base == nullptr) return;
  if (base->items().size() != base_.size()) {
    throw DataError(fmt::format("the schedule's state is of {} groups of parameters, not {}",
                                base->items().size(), base_.size()),
                    "resume with the configuration that the checkpoint was saved with");
  }
  for (std::size_t i = 0; i < base_.size(); ++i) base_[i] = base->items()[i].as_float();
}

std::int64_t known_total(std::optional<std::int64_t> total_steps, const std::string& schedule) {
  if (total_steps && *total_steps > 0) return *total_steps;
  throw ConfigError(schedule + ": the number of steps of the run is not known",
                    "set trainer.max_epochs or trainer.max_steps");
}

void SequentialLROptions::describe(config::Fields& f) {
  f.required("schedulers", schedulers, "the schedules, in order");
  f.required("milestones", milestones, "where each but the first begins");
  f.check("milestones", milestones.size() + 1 == schedulers.size(),
          "one less than there are schedulers");
  f.check("milestones", std::is_sorted(milestones.begin(), milestones.end()), "in rising order");
  describe_timing(f);
}

SequentialLR::SequentialLR(const Options& options)
    : Schedule(options), milestones_(options.milestones) {
  for (std::size_t i = 0; i < options.schedulers.size(); ++i) {
    schedules_.push_back(
        config::build(options.schedulers[i], fmt::format("schedule.schedulers.{}", i)));
  }
}

SequentialLR::SequentialLR(ScheduleTiming timing, std::vector<std::unique_ptr<Schedule>> schedules,
                           std::vector<std::int64_t> milestones)
    : Schedule(std::move(timing)),
      schedules_(std::move(schedules)),
      milestones_(std::move(milestones)) {}

void SequentialLR::attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) {
  attach_to(optimizer, total_steps);
  for (const auto& schedule : schedules_) schedule->attach(optimizer, total_steps);
  // PyTorch: every constructor has moved its schedule; all but the first wait at -1.
  for (ParamGroup& group : optimizer.groups()) group.lr = group.initial_lr;
  for (const auto& schedule : schedules_) --schedule->last_epoch_;
  schedules_.front()->step_count_ = 0;
  schedules_.front()->step();
  last_epoch_ = 0;
  step_count_ = 0;
}

void SequentialLR::step(std::optional<double> metric) {
  const std::int64_t epoch = last_epoch_ + 1;
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), epoch);
  const auto index = static_cast<std::size_t>(next - milestones_.begin());
  if (index > 0 && milestones_[index - 1] == epoch) {
    schedules_[index]->jump(0);
  } else {
    schedules_[index]->step(metric);
  }
  last_epoch_ = epoch;
}

Value SequentialLR::state_dict() const {
  Value inner = Value::list();
  for (const auto& schedule : schedules_) inner.append(schedule->state_dict());
  Value milestones = Value::list();
  for (const std::int64_t milestone : milestones_) milestones.append(Value(milestone));
  Value last = Value::list();
  for (const ParamGroup& group : optimizer().groups()) last.append(Value(group.lr));
  Value state = Value::dict();
  state.set("_milestones", std::move(milestones));
  state.set("last_epoch", Value(last_epoch_));
  state.set("_last_lr", std::move(last));
  state.set("_schedulers", std::move(inner));
  return state;
}

void SequentialLR::load_state_dict(const Value& state) {
  last_epoch_ = state.at("last_epoch").as_int();
  const std::vector<Value>& inner = state.at("_schedulers").items();
  if (inner.size() != schedules_.size()) {
    throw DataError(fmt::format("the checkpoint's schedule has {} parts, not {}", inner.size(),
                                schedules_.size()),
                    "resume with the configuration that the checkpoint was saved with");
  }
  for (std::size_t i = 0; i < inner.size(); ++i) schedules_[i]->load_state_dict(inner[i]);
}

POLYPHONY_REGISTER(Schedule, SequentialLR, "polyphony.optim.SequentialLR",
                   "torch.optim.lr_scheduler.SequentialLR: one schedule after another")

}  // namespace polyphony::optim
