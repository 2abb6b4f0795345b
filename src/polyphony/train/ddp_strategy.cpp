#include <polyphony/train/ddp_strategy.h>

#include <algorithm>

#include <polyphony/base/rng.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/task.h>

namespace polyphony::train {

DdpStrategy::DdpStrategy(at::Device device, std::unique_ptr<dist::GroupCollective> collective,
                         dist::DataParallelOptions options)
    : Strategy(device, std::move(collective)),
      group_(static_cast<dist::GroupCollective&>(Strategy::collective()).group()),
      options_(options) {}

DdpStrategy::~DdpStrategy() = default;

void DdpStrategy::setup(Task& task) {
  const tensor::NamedTensors parameters = task.parameters();
  tensor::NamedTensors buffers;
  for (const auto& [name, tensor] : task.state()) {
    const bool learnt = std::any_of(parameters.begin(), parameters.end(), [&](const auto& other) {
      return other.second.unsafeGetTensorImpl() == tensor.unsafeGetTensorImpl();
    });
    if (!learnt) buffers.emplace_back(name, tensor);
  }
  parallel_ = std::make_unique<dist::DistributedDataParallel>(group_, parameters,
                                                              std::move(buffers), options_);
  // Every process draws dropout masks of its own; rank 0's are those of a run alone.
  const int rank = group_.rank();
  if (rank > 0) tensor::seed_everything(derive_seed(tensor::current_seed(), rank));
}

void DdpStrategy::teardown() { parallel_.reset(); }

void DdpStrategy::share_buffers() {
  if (parallel_) parallel_->broadcast_buffers();
}

at::Tensor DdpStrategy::training_step(Task& task, const data::Batch& batch, std::int64_t index,
                                      dist::GradientSync sync) {
  // As PyTorch does: before the first forward pass behind each exchange of gradients.
  if (buffers_due_) share_buffers();
  buffers_due_ = sync == dist::GradientSync::kNow;
  return Strategy::training_step(task, batch, index, sync);
}

void DdpStrategy::backward(const at::Tensor& loss, dist::GradientSync sync) {
  parallel_->backward(loss, sync);
}

}  // namespace polyphony::train
