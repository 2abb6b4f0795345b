#pragma once

#include <memory>

#include <polyphony/train/strategy.h>

namespace polyphony::train {

/// One of several processes, each with its own rows of every batch, whose gradients are averaged.
class DdpStrategy : public Strategy {
 public:
  DdpStrategy(at::Device device, std::unique_ptr<dist::GroupCollective> collective,
              dist::DataParallelOptions options);
  ~DdpStrategy() override;

  void setup(Task& task) override;
  void teardown() override;
  at::Tensor training_step(Task& task, const data::Batch& batch, std::int64_t index,
                           dist::GradientSync sync) override;
  void backward(const at::Tensor& loss, dist::GradientSync sync) override;
  void share_buffers() override;
  optim::Optimizer::ZeroGrad zero_grad() const override {
    return optim::Optimizer::ZeroGrad::kKeepStorage;
  }

 private:
  dist::ProcessGroup& group_;
  dist::DataParallelOptions options_;
  std::unique_ptr<dist::DistributedDataParallel> parallel_;
  bool buffers_due_ = true;
};

}  // namespace polyphony::train
