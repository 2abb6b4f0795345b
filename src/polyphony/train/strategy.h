#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/data/dataset.h>
#include <polyphony/dist/launch.h>
#include <polyphony/optim/optimizer.h>
#include <polyphony/train/results.h>

namespace polyphony::train {

class Task;
struct TrainerOptions;

/// Whether a backward pass ends the accumulation, so that processes exchange gradients.
enum class GradientSync { kNow, kLater };

/// How a run is spread over devices and processes. This one is a single process on one device;
/// others override what differs. Every method with a result gives the same one in every process.
class Strategy {
 public:
  static constexpr const char* kKind = "Strategy";
  virtual ~Strategy() = default;

  virtual std::string name() const { return "single"; }
  virtual int rank() const { return 0; }
  virtual int world_size() const { return 1; }
  bool is_global_zero() const { return rank() == 0; }

  /// Before a fit's first step, when the task is set up and its weights are loaded.
  virtual void setup(Task&) {}
  /// After the last one, also after an error.
  virtual void teardown() {}
  /// This process ends by an error; the others are told why.
  virtual void fail(const std::exception& /*error*/) {}

  virtual at::Tensor training_step(Task& task, const data::Batch& batch, std::int64_t index,
                                   GradientSync sync);
  virtual void backward(const at::Tensor& loss, GradientSync sync);
  /// During a fit: every process takes rank 0's buffers (running means), so that they evaluate the
  /// same model.
  virtual void share_buffers() {}
  /// Whether gradients are views that have to be zeroed in place.
  virtual optim::Optimizer::ZeroGrad zero_grad() const {
    return optim::Optimizer::ZeroGrad::kRelease;
  }
  /// Moves a batch to the device.
  virtual data::Batch to_device(data::Batch batch) { return batch; }

  virtual void barrier(const char* /*name*/) {}
  virtual void reduce(std::span<double> /*values*/, ReduceFx) {}
  /// True where all processes (or any of them) say so.
  virtual bool decide(bool mine, bool /*all*/ = true) { return mine; }
  /// Rank 0's text.
  virtual std::string broadcast(std::string text) { return text; }
  /// The signal that ends the run in every process after this step; 0 to go on.
  virtual int agreed_signal(int mine) { return mine; }
  /// Every process's numbers, one process after the other, in rank order.
  virtual std::vector<double> gather_numbers(std::span<const double> mine) {
    return {mine.begin(), mine.end()};
  }
  /// What each process keeps of its own in a checkpoint: a list by rank, on rank 0 at least.
  virtual tensor::Value gather(tensor::Value mine);
  /// Rows of all processes in dataset order, each once.
  /// @param rows  [n, ...]; @param index  int64 [n], the dataset's row of each
  virtual at::Tensor gather_rows(const at::Tensor& rows, const at::Tensor& index);
};

/// What `strategy`, `devices`, `accelerator` and `num_nodes` ask for, as one of the processes that
/// the environment names (base/world.h). Waits until all of them have come.
/// @throws ConfigError where this build or machine cannot do it, or the options contradict the
/// environment
std::unique_ptr<Strategy> make_strategy(const TrainerOptions& options);

/// What `dist::launch` has to start before `make_strategy` can join it; nullopt where the options
/// ask for one process, or others have started them all.
/// @param threads  for all processes together; 0: one for each processor
std::optional<dist::LaunchOptions> processes_to_launch(const TrainerOptions& options, int threads);

}  // namespace polyphony::train
