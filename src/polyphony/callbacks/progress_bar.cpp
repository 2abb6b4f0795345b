#include <polyphony/callbacks/progress_bar.h>

#include <iostream>

#include <fmt/format.h>

#include <polyphony/base/terminal/progress.h>
#include <polyphony/base/terminal/terminal.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

void ProgressBarOptions::describe(config::Fields& f) {
  f("style", style, "bars on a terminal and lines elsewhere, lines everywhere, or nothing");
  f("interval", interval, "seconds between drawings; 0: 0.1 for bars, 10 for lines");
  f.check("interval", interval >= 0, "at least 0");
  f("refresh_rate", refresh_rate, "batches between drawings; 0: nothing is shown");
  f.check("refresh_rate", refresh_rate >= 0, "at least 0");
  f("leave", leave, "keep the bar of an epoch that has ended");
}

ProgressBar::ProgressBar(Options options) : options_(options) {}
ProgressBar::~ProgressBar() { validation_.reset(); }

bool ProgressBar::shows(const train::Trainer& trainer) const {
  const bool quiet = options_.style == ProgressStyle::kQuiet || options_.refresh_rate == 0;
  return !quiet && trainer.is_global_zero();
}

std::unique_ptr<Progress> ProgressBar::bar(std::string label, std::int64_t total) const {
  TerminalInfo terminal = terminal_info();
  if (options_.style == ProgressStyle::kPlain) terminal.cursor = false;
  auto made = std::make_unique<Progress>(std::move(label), total, std::cout, terminal);
  if (options_.interval > 0) made->set_interval(options_.interval);
  return made;
}

void ProgressBar::open(const train::Trainer& trainer) {
  const std::string of = trainer.max_epochs() == -1 ? "" : fmt::format("/{}", trainer.max_epochs());
  epoch_ = bar(fmt::format("epoch {}{}", trainer.current_epoch() + 1, of),
               trainer.num_training_batches());
}

void ProgressBar::on_train_epoch_start(train::Trainer& trainer) {
  if (shows(trainer)) open(trainer);
}

void ProgressBar::on_train_batch_end(train::Trainer& trainer, double, std::int64_t) {
  if (!shows(trainer) || trainer.batch_in_epoch() % options_.refresh_rate != 0) return;
  if (!epoch_) open(trainer);  // resumed in mid-epoch
  std::string text = fmt::format("loss {:.4f}", trainer.running_loss());
  for (const auto& [name, value] : trainer.progress_bar_metrics()) {
    text += fmt::format("  {} {:.4f}", name, value);
  }
  text += fmt::format("  lr {:.2e}", trainer.optimizer().groups().front().lr);
  epoch_->update(trainer.batch_in_epoch(), std::move(text));
}

void ProgressBar::on_train_epoch_end(train::Trainer& trainer) {
  if (!epoch_) return;
  std::string metrics;
  for (const auto& [name, value] : trainer.callback_metrics()) {
    if (name.ends_with("_step")) continue;
    metrics += fmt::format("{}{} {:.4f}", metrics.empty() ? "" : "  ", name, value);
  }
  epoch_->update(trainer.batch_in_epoch(), metrics);
  if (options_.leave) {
    epoch_->finish();
  } else {
    epoch_->discard();
  }
  epoch_.reset();
}

void ProgressBar::on_validation_start(train::Trainer& trainer) {
  if (!shows(trainer)) return;
  const std::int64_t batches = trainer.num_val_batches();
  if (epoch_) {
    validation_ = std::make_unique<Progress>("validation", batches, *epoch_);
  } else {
    validation_ = bar(trainer.sanity_checking() ? "sanity check" : "validation", batches);
  }
}

void ProgressBar::on_validation_batch_end(train::Trainer&, const data::Batch&, std::int64_t index) {
  if (validation_) validation_->update(index + 1);
}

void ProgressBar::on_validation_end(train::Trainer&) {
  if (validation_) validation_->discard();
  validation_.reset();
}

/// The error's words begin on a line of their own.
void ProgressBar::on_exception(train::Trainer&, const std::exception&) {
  validation_.reset();
  if (epoch_) epoch_->finish();
  epoch_.reset();
}

POLYPHONY_REGISTER(train::Callback, ProgressBar, "polyphony.callbacks.ProgressBar",
                   "progress of epochs and validation on the terminal")

}  // namespace polyphony::callbacks
