#pragma once

#include <optional>
#include <string>

#include <polyphony/callbacks/mode.h>
#include <polyphony/config/fields.h>
#include <polyphony/train/callback.h>

namespace polyphony::callbacks {

struct EarlyStoppingOptions {
  std::string monitor;
  Mode mode = Mode::kMin;
  int patience = 3;
  double min_delta = 0.0;
  bool strict = true;
  bool check_finite = true;
  std::optional<double> stopping_threshold;
  std::optional<double> divergence_threshold;
  bool verbose = false;

  void describe(config::Fields& f);
};

/// Stops the fit when the monitored metric stops improving. Decisions are Lightning's.
class EarlyStopping : public train::Callback {
 public:
  using Options = EarlyStoppingOptions;
  explicit EarlyStopping(Options options);

  void on_validation_end(train::Trainer& trainer) override;
  std::string state_key() const override;
  tensor::Value state() const override;
  void load_state(const tensor::Value& state) override;

  /// One validation's decision. @returns why to stop, or "" to go on
  std::string observe(double value);

 private:
  bool improves(double value) const;

  Options options_;
  double best_;
  int wait_ = 0;
  std::int64_t stopped_epoch_ = 0;
};

}  // namespace polyphony::callbacks
