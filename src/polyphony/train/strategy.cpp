#include <polyphony/train/strategy.h>

#include <polyphony/train/task.h>

namespace polyphony::train {

Strategy::Strategy(at::Device device, std::unique_ptr<dist::Collective> collective)
    : device_(device),
      collective_(collective ? std::move(collective) : std::make_unique<dist::Collective>()) {}

Strategy::~Strategy() = default;

at::Tensor Strategy::training_step(Task& task, const data::Batch& batch, std::int64_t index,
                                   dist::GradientSync) {
  return task.training_step(batch, index);
}

void Strategy::backward(const at::Tensor& loss, dist::GradientSync) { loss.backward(); }

}  // namespace polyphony::train
