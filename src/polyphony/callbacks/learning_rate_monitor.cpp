#include <polyphony/callbacks/learning_rate_monitor.h>

#include <fmt/format.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

using optim::Interval;

void LearningRateMonitorOptions::describe(config::Fields& f) {
  f("logging_interval", logging_interval,
    "log each step or each epoch; null: as the schedule moves");
  f("log_momentum", log_momentum, "log the momentum too");
}

void LearningRateMonitor::on_train_epoch_start(train::Trainer& trainer) {
  log(trainer, Interval::kEpoch);
}

void LearningRateMonitor::on_train_batch_start(train::Trainer& trainer, const data::Batch&,
                                               std::int64_t) {
  if (trainer.should_update_logs()) log(trainer, Interval::kStep);
}

void LearningRateMonitor::log(train::Trainer& trainer, Interval interval) const {
  const optim::Schedule* schedule = trainer.schedule();
  if (options_.logging_interval) {
    if (*options_.logging_interval != interval) return;
  } else if (schedule != nullptr && schedule->timing().interval != interval) {
    return;
  }
  const optim::Optimizer& optimizer = trainer.optimizer();
  const std::string base = schedule != nullptr && schedule->timing().name
                               ? *schedule->timing().name
                               : "lr-" + optimizer.name();
  train::MetricValues row;
  std::size_t number = 0;
  for (const optim::ParamGroup& group : optimizer.groups()) {
    ++number;
    const std::string name =
        optimizer.groups().size() > 1 ? fmt::format("{}/pg{}", base, number) : base;
    row.emplace_back(name, group.lr);
    if (options_.log_momentum) row.emplace_back(name + "-momentum", optimizer.momentum());
  }
  trainer.log_row(row);
}

POLYPHONY_REGISTER(train::Callback, LearningRateMonitor, "polyphony.callbacks.LearningRateMonitor",
                   "logs the learning rate")

}  // namespace polyphony::callbacks
