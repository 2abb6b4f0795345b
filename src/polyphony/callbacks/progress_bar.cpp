#include <polyphony/callbacks/progress_bar.h>

#include <iostream>

#include <fmt/format.h>

#include <polyphony/base/progress.h>
#include <polyphony/base/terminal.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

ProgressBar::ProgressBar() = default;
ProgressBar::~ProgressBar() = default;

void ProgressBar::on_train_epoch_start(train::Trainer& trainer) {
  const std::string label =
      fmt::format("epoch {}/{}", trainer.current_epoch() + 1, trainer.options().max_epochs);
  progress_ =
      std::make_unique<Progress>(label, trainer.batches_per_epoch(), std::cout, terminal_info());
}

void ProgressBar::on_train_batch_end(train::Trainer& trainer) {
  progress_->update(
      trainer.batch_in_epoch(),
      fmt::format("loss {:.4f}  lr {:.2e}", trainer.epoch_loss(), trainer.learning_rate()));
}

void ProgressBar::on_validation_end(train::Trainer& trainer) {
  std::string metrics = fmt::format("train_loss {:.4f}", trainer.epoch_loss());
  for (const auto& [name, value] : trainer.callback_metrics()) {
    if (name.starts_with("val_")) metrics += fmt::format("  {} {:.4f}", name, value);
  }
  progress_->update(trainer.batch_in_epoch(), metrics);
  progress_->finish();
}

}  // namespace polyphony::callbacks
