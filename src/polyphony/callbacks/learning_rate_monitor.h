#pragma once

#include <optional>

#include <polyphony/config/bind/fields.h>
#include <polyphony/optim/schedule.h>
#include <polyphony/train/callback.h>

namespace polyphony::callbacks {

struct LearningRateMonitorOptions {
  std::optional<optim::Interval> logging_interval;
  bool log_momentum = false;
  void describe(config::Fields& f);
};

/// Logs the learning rate as "lr-OPTIMIZER", or as the schedule is called; "/pgN" for group N.
class LearningRateMonitor : public train::Callback {
 public:
  using Options = LearningRateMonitorOptions;
  explicit LearningRateMonitor(Options options = {}) : options_(options) {}
  std::string name() const override { return "LearningRateMonitor"; }
  void on_train_epoch_start(train::Trainer& trainer) override;
  void on_train_batch_start(train::Trainer& trainer, const data::Batch& batch,
                            std::int64_t index) override;

 private:
  void log(train::Trainer& trainer, optim::Interval interval) const;

  Options options_;
};

}  // namespace polyphony::callbacks
