#pragma once

#include <map>

#include <polyphony/config/bind/fields.h>
#include <polyphony/train/callback.h>

namespace polyphony::callbacks {

struct GradientAccumulationSchedulerOptions {
  config::Node scheduling;
  void describe(config::Fields& f);
};

/// Batches a step from an epoch on: {0: 4, 8: 1} accumulates 4 before epoch 8.
class GradientAccumulationScheduler : public train::Callback {
 public:
  using Options = GradientAccumulationSchedulerOptions;
  explicit GradientAccumulationScheduler(const Options& options);
  std::string name() const override { return "GradientAccumulationScheduler"; }
  void on_train_start(train::Trainer& trainer) override;
  void on_train_epoch_start(train::Trainer& trainer) override;

 private:
  std::map<std::int64_t, int> batches_from_;  // by epoch
};

}  // namespace polyphony::callbacks
