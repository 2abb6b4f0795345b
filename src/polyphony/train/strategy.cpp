#include <polyphony/train/strategy.h>

#include <ATen/Context.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/index_select.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/train/task.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::train {

at::Tensor Strategy::training_step(Task& task, const data::Batch& batch, std::int64_t index,
                                   GradientSync) {
  return task.training_step(batch, index);
}

void Strategy::backward(const at::Tensor& loss, GradientSync) { loss.backward(); }

tensor::Value Strategy::gather(tensor::Value mine) {
  tensor::Value all = tensor::Value::list();
  all.append(std::move(mine));
  return all;
}

at::Tensor Strategy::gather_rows(const at::Tensor& rows, const at::Tensor& index) {
  return at::index_select(rows, 0, at::argsort(index));
}

std::unique_ptr<Strategy> make_strategy(const TrainerOptions& options) {
  if (options.accelerator == Accelerator::kGpu) {
    throw ConfigError(at::globalContext().hasCUDA()
                          ? "trainer.accelerator: gpu is not supported yet"
                          : "trainer.accelerator: gpu, but this LibTorch was built without CUDA",
                      "write trainer.accelerator=cpu, or build against a CUDA LibTorch");
  }
  const bool several = options.devices.count > 1 || options.num_nodes > 1;
  if (options.strategy == StrategyName::kDdp || several) {
    throw ConfigError(
        fmt::format("trainer.strategy: {} devices on {} nodes need processes of their own, which "
                    "this build does not start",
                    options.devices.count, options.num_nodes),
        "write trainer.strategy=single trainer.devices=1 trainer.num_nodes=1");
  }
  return std::make_unique<Strategy>();
}

}  // namespace polyphony::train
