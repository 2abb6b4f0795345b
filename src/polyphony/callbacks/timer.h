#pragma once

#include <optional>

#include <polyphony/base/terminal/progress.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/optim/schedule.h>
#include <polyphony/train/callback.h>
#include <polyphony/train/duration.h>

namespace polyphony::callbacks {

struct TimerOptions {
  std::optional<train::Duration> duration;
  optim::Interval interval = optim::Interval::kStep;
  bool verbose = true;
  void describe(config::Fields& f);
};

/// Measures the time of training, over resumed runs too, and stops the fit when it is up.
class Timer : public train::Callback {
 public:
  using Options = TimerOptions;
  explicit Timer(Options options, SecondsClock clock = steady_seconds);
  std::string name() const override { return "Timer"; }
  void on_fit_start(train::Trainer& trainer) override;
  void on_train_start(train::Trainer& trainer) override;
  void on_train_end(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_train_epoch_end(train::Trainer& trainer) override;
  std::string state_key() const override { return "Timer"; }
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;
  // Time that has passed has passed.
  std::optional<std::uint64_t> state_revision() const override { return 0; }
  tensor::Value state_after_failure(tensor::Value) const override { return state_dict(); }

  /// Seconds of training so far, those of the runs before included.
  double time_elapsed() const;

 private:
  void check(train::Trainer& trainer);

  Options options_;
  SecondsClock clock_;
  std::optional<double> start_;
  std::optional<double> end_;
  double offset_ = 0;
};

}  // namespace polyphony::callbacks
