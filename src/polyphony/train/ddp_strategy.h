#pragma once

#include <memory>

#include <polyphony/dist/data_parallel.h>
#include <polyphony/train/strategy.h>

namespace polyphony::train {

/// One of several processes, each with its own rows of every batch, whose gradients are averaged.
class DdpStrategy : public Strategy {
 public:
  DdpStrategy(std::unique_ptr<dist::ProcessGroup> group, dist::DataParallelOptions options);
  ~DdpStrategy() override;

  std::string name() const override { return "ddp"; }
  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }

  void setup(Task& task) override;
  void teardown() override;
  void fail(const std::exception& error) override;
  at::Tensor training_step(Task& task, const data::Batch& batch, std::int64_t index,
                           GradientSync sync) override;
  void share_buffers() override;
  void backward(const at::Tensor& loss, GradientSync sync) override;
  optim::Optimizer::ZeroGrad zero_grad() const override {
    return optim::Optimizer::ZeroGrad::kKeepStorage;
  }

  void barrier(const char* name) override;
  void reduce(std::span<double> values, ReduceFx fx) override;
  bool decide(bool mine, bool all) override;
  std::string broadcast(std::string text) override;
  int agreed_signal(int mine) override;
  tensor::Value gather(tensor::Value mine) override;
  std::vector<double> gather_numbers(std::span<const double> mine) override;
  at::Tensor gather_rows(const at::Tensor& rows, const at::Tensor& index) override;

 private:
  std::unique_ptr<dist::ProcessGroup> group_;  ///< null once all have stopped together
  int rank_;
  int world_size_;
  bool stopping_ = false;  ///< all processes know of the signal
  dist::DataParallelOptions options_;
  std::unique_ptr<dist::DistributedDataParallel> parallel_;
  bool buffers_due_ = true;
};

}  // namespace polyphony::train
