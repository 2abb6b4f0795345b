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
  std::string name() const override { return "ProgressBar"; }
  void on_train_epoch_start(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_train_epoch_end(train::Trainer& trainer) override;

 private:
  void open(const train::Trainer& trainer);

  std::unique_ptr<Progress> progress_;
};

}  // namespace polyphony::callbacks
