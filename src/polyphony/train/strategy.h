#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <polyphony/data/dataset.h>
#include <polyphony/dist/collective.h>
#include <polyphony/dist/data_parallel.h>
#include <polyphony/optim/optimizer.h>

namespace polyphony::train {

class Task;

/// How a task is trained on this process's device, in step with the other processes. This one is a
/// process alone; others override what differs.
class Strategy {
 public:
  /// @param collective  null: that of a process alone
  explicit Strategy(at::Device device = at::kCPU,
                    std::unique_ptr<dist::Collective> collective = nullptr);
  virtual ~Strategy();
  Strategy(const Strategy&) = delete;
  Strategy& operator=(const Strategy&) = delete;

  at::Device device() const { return device_; }
  dist::Collective& collective() const { return *collective_; }

  /// Before a fit's first step, when the task is set up and its weights are loaded.
  virtual void setup(Task&) {}
  /// After the last one, also after an error.
  virtual void teardown() {}
  virtual at::Tensor training_step(Task& task, const data::Batch& batch, std::int64_t index,
                                   dist::GradientSync sync);
  virtual void backward(const at::Tensor& loss, dist::GradientSync sync);
  /// During a fit: every process takes rank 0's buffers (running means), so that they evaluate the
  /// same model.
  virtual void share_buffers() {}
  /// Whether gradients are views that have to be zeroed in place.
  virtual optim::Optimizer::ZeroGrad zero_grad() const {
    return optim::Optimizer::ZeroGrad::kRelease;
  }

 private:
  at::Device device_;
  std::unique_ptr<dist::Collective> collective_;
};

}  // namespace polyphony::train
