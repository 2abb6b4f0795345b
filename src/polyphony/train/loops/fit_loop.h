#pragma once

#include <cstdint>

#include <polyphony/data/loader.h>
#include <polyphony/train/progress.h>

namespace polyphony::train {

struct TrainerState;

/// The epochs of a fit, each with its batches and validations. Where it stands is in the state's
/// progress, and it starts from wherever that says.
class FitLoop {
 public:
  /// @param val  null if there is nothing to validate on
  FitLoop(TrainerState& state, data::Loader& train, data::Loader* val);
  /// @param rng  state of the random generator to go on from; undefined: as it is
  void run(const at::Tensor& rng);

 private:
  bool done() const;
  bool epoch_done() const;
  bool can_stop_early() const;
  bool steps_reached() const;
  bool last_batch_reached() const;
  bool accumulates() const;
  bool validation_due() const;
  bool validates_in_epoch() const;
  /// Whether `val_check_interval` falls behind the newest batch.
  bool check_due() const;
  bool check_due_in_rest(const data::EpochOrder& order, std::int64_t end) const;
  bool at(Point point) const;

  void run_epoch();
  void start_epoch();
  void train_batch();
  void finish_step();
  void finish_batch();
  void validate();
  void next_batch();
  void end_epoch();
  void move_schedule(bool after_epoch, bool on_plateau);
  void stop_if_asked();

  TrainerState& state_;
  data::Loader& train_;
  data::Loader* val_;
  FitProgress& progress_;
  std::int64_t val_check_batch_ = 0;
};

}  // namespace polyphony::train
