#include <polyphony/callbacks/progress_bar.h>

#include <iostream>

#include <fmt/format.h>

#include <polyphony/base/progress.h>
#include <polyphony/base/terminal.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

ProgressBar::ProgressBar() = default;
ProgressBar::~ProgressBar() = default;

void ProgressBar::open(const train::Trainer& trainer) {
  const std::string of = trainer.max_epochs() == -1 ? "" : fmt::format("/{}", trainer.max_epochs());
  const std::string label = fmt::format("epoch {}{}", trainer.current_epoch() + 1, of);
  progress_ =
      std::make_unique<Progress>(label, trainer.num_training_batches(), std::cout, terminal_info());
}

void ProgressBar::on_train_epoch_start(train::Trainer& trainer) {
  if (trainer.is_global_zero()) open(trainer);
}

void ProgressBar::on_train_batch_end(train::Trainer& trainer, double, std::int64_t) {
  if (!trainer.is_global_zero()) return;
  if (!progress_) open(trainer);  // resumed in mid-epoch
  std::string text = fmt::format("loss {:.4f}", trainer.running_loss());
  for (const auto& [name, value] : trainer.progress_bar_metrics()) {
    text += fmt::format("  {} {:.4f}", name, value);
  }
  text += fmt::format("  lr {:.2e}", trainer.optimizer().groups().front().lr);
  progress_->update(trainer.batch_in_epoch(), std::move(text));
}

void ProgressBar::on_train_epoch_end(train::Trainer& trainer) {
  if (!progress_) return;
  std::string metrics;
  for (const auto& [name, value] : trainer.callback_metrics()) {
    metrics += fmt::format("{}{} {:.4f}", metrics.empty() ? "" : "  ", name, value);
  }
  progress_->update(trainer.batch_in_epoch(), metrics);
  progress_->finish();
  progress_.reset();
}

}  // namespace polyphony::callbacks
