#pragma once

#include <optional>
#include <string>

#include <polyphony/callbacks/mode.h>
#include <polyphony/config/bind/fields.h>
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
  std::optional<bool> check_on_train_epoch_end;

  void describe(config::Fields& f);
};

/// Stops the fit when the monitored metric stops improving. Decisions are Lightning's, in single
/// precision as its tensors are. A resumed fit keeps the configured patience, and one that had been
/// stopped stops at once unless the patience was raised.
class EarlyStopping : public train::Callback {
 public:
  using Options = EarlyStoppingOptions;
  explicit EarlyStopping(Options options);

  std::string name() const override { return "EarlyStopping"; }
  void setup(train::Trainer& trainer) override;
  void on_fit_start(train::Trainer& trainer) override;
  void on_train_epoch_end(train::Trainer& trainer) override;
  void on_validation_end(train::Trainer& trainer) override;
  std::string state_key() const override;
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;
  std::optional<std::uint64_t> state_revision() const override { return revision_; }

  /// One validation's decision. @returns why to stop, or "" to go on
  std::string observe(float value);

  std::int64_t wait_count() const { return wait_; }
  float best_score() const { return best_; }
  std::int64_t stopped_epoch() const { return stopped_epoch_; }

 private:
  bool improves(float value) const;
  void check(train::Trainer& trainer);

  Options options_;
  bool on_train_epoch_end_ = false;
  float best_;
  std::int64_t wait_ = 0;
  std::int64_t stopped_epoch_ = 0;
  std::uint64_t revision_ = 0;
};

}  // namespace polyphony::callbacks
