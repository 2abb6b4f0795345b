#pragma once

#include <chrono>

#include <polyphony/pipeline/recording.h>
#include <polyphony/train/callback.h>

namespace polyphony::pipeline {

/// What is recorded of every fit without asking: the model summary, the gradient's norm before
/// clipping, rows a second, and histograms of the parameters where they are asked for.
class RunMonitor : public train::Callback {
 public:
  /// Borrows the recording. It has no recorder in processes that keep no record.
  explicit RunMonitor(Recording& recording) : recording_(recording) {}
  std::string name() const override { return "RunMonitor"; }

  void on_fit_start(train::Trainer& trainer) override;
  void on_train_start(train::Trainer& trainer) override;
  void on_train_batch_start(train::Trainer& trainer, const data::Batch& batch,
                            std::int64_t index) override;
  void on_before_optimizer_step(train::Trainer& trainer, optim::Optimizer& optimizer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_train_epoch_end(train::Trainer& trainer) override;

 private:
  Recording& recording_;
  std::chrono::steady_clock::time_point since_;
  std::int64_t rows_ = 0;  ///< since then
};

}  // namespace polyphony::pipeline
