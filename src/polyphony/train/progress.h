#pragma once

#include <cstdint>
#include <optional>

#include <polyphony/tensor/value.h>

namespace polyphony::train {

/// Where a fit is inside one epoch, at what a checkpoint can be taken and taken up again.
enum class Point {
  kEpochStart,     ///< nothing of the epoch is done
  kBatchStart,     ///< `batch` batches are done with everything that follows them
  kBatchEnd,       ///< in on_train_batch_end of batch `batch`
  kValidationEnd,  ///< in on_validation_end behind batch `batch`
  kEpochEnd,       ///< in on_train_epoch_end
  // Numbers are kept in checkpoints: new ones come last.
  kValidationStart,  ///< batch `batch` is done, and nothing of the validation that is due behind it
  kStepDone,         ///< behind the optimizer's step of batch `batch`; the schedule has not moved
};

/// Everything that says how far a fit has come.
struct FitProgress {
  std::int64_t epoch = 0;                 ///< epochs completed
  std::int64_t batch = 0;                 ///< of the epoch: completed, or being completed
  std::int64_t total_batches = 0;         ///< over all epochs
  std::int64_t global_step = 0;           ///< optimizer steps
  std::int64_t batches_that_stepped = 0;  ///< the loggers' step
  std::int64_t scheduler_steps = 0;
  std::int64_t zero_grads = 0;
  std::int64_t validations = 0;
  Point point = Point::kEpochStart;
  std::int64_t callbacks_done = 0;  ///< of the hook that `point` names
  bool last_batch = false;
  /// Whether a validation falls behind batch `batch`; nullopt if it is not known. Kept, for the
  /// processes that go on may count other batches than those that came here.
  std::optional<bool> check_due;
};

/// Lightning's `loops` of a checkpoint. @param val_batches  of one validation
tensor::Value loops_of(const FitProgress& progress, std::int64_t val_batches);
/// The counters from Lightning's `loops`, where a checkpoint has nothing more exact.
FitProgress progress_of(const tensor::Value& checkpoint);

/// The exact position, and back.
tensor::Value position_of(const FitProgress& progress);
FitProgress progress_at(const tensor::Value& position);

}  // namespace polyphony::train
