#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/tensor/generator_snapshot.h>
#include <polyphony/train/loops/metric_log.h>
#include <polyphony/train/progress.h>

namespace polyphony::train {

struct TrainerState;

/// A fit as it was after its last completed optimizer step, so that an error that comes later, in
/// whatever place, loses nothing: everything small is kept aside after each step, and weights and
/// the optimizer's means change in the next step only. What followed the step (schedule, hooks,
/// validation) is done again by the fit that goes on from there.
///
/// Of several processes rank 0 has one, and saves it alone: the others may be waiting for it.
class LastStep {
 public:
  /// Borrows the state of a fit whose task and optimizer are set up.
  explicit LastStep(TrainerState& state);

  /// An optimizer step is done, and nothing behind it.
  void take();
  /// The schedule has moved with the step.
  void schedule_moved();
  /// The schedule is about to move behind the step's hooks.
  void keep_schedule();
  /// Writes exception.ckpt, as a new file, and says how to go on from it; says why not if no
  /// step was completed.
  void save();

  // For the checkpoint.
  const FitProgress& progress() const { return progress_; }
  double loss() const { return loss_; }
  bool should_stop() const { return should_stop_; }
  const tensor::Value& callback_state(std::size_t index) const { return callbacks_[index].state; }
  /// The schedule's, if it has moved since.
  const std::optional<tensor::Value>& schedule_state() const { return schedule_; }
  /// What rank 0 alone knows: random generator, metrics, log.
  tensor::Value own_state() const;

 private:
  struct CallbackState {
    std::optional<std::uint64_t> revision;
    bool taken = false;
    tensor::Value state;
  };
  /// A tensor of the model that no optimizer moves, e.g. a running mean.
  struct Buffer {
    at::Tensor live;
    at::Tensor kept;
    std::uint32_t version = 0;
  };
  void list_buffers();
  void take_callbacks();
  void take_buffers();
  /// In the run's own directory, if that of the checkpoints takes nothing more.
  std::filesystem::path write(const tensor::Value& checkpoint) const;
  /// Puts buffers and rates back.
  void rewind();

  TrainerState& state_;
  std::int64_t first_step_;  ///< of this fit
  bool taken_ = false;
  FitProgress progress_;
  double loss_ = 0;
  bool should_stop_ = false;
  tensor::GeneratorSnapshot rng_;
  MetricLog::Kept log_;
  std::function<tensor::Value()> metrics_;
  std::vector<Buffer> buffers_;
  std::vector<CallbackState> callbacks_;
  std::optional<tensor::Value> schedule_;
  std::vector<double> rates_;  ///< of the groups, with `schedule_`
};

}  // namespace polyphony::train
