#pragma once

#include <memory>

#include <polyphony/train/callback.h>

namespace polyphony {
class Progress;
}

namespace polyphony::callbacks {

/// One line for each epoch: progress, rate, ETA and the newest metrics.
class ProgressBar : public train::Callback {
 public:
  ProgressBar();
  ~ProgressBar() override;
  void on_train_epoch_start(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer) override;
  void on_validation_end(train::Trainer& trainer) override;

 private:
  std::unique_ptr<Progress> progress_;
};

}  // namespace polyphony::callbacks
