#include <polyphony/train/strategy.h>

#include <algorithm>
#include <thread>

#include <ATen/Context.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/index_select.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/train/ddp_strategy.h>
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

namespace {

std::int64_t devices_of(const TrainerOptions& options) {
  if (options.devices.automatic) return 1;
  if (options.devices.count > 0) return options.devices.count;
  return std::max(1U, std::thread::hardware_concurrency());
}

std::chrono::milliseconds timeout_of(const TrainerOptions& options) {
  constexpr double kMilliseconds = 1000;
  return std::chrono::milliseconds(static_cast<std::int64_t>(options.dist_timeout * kMilliseconds));
}

void refuse_gpu(const TrainerOptions& options) {
  if (options.accelerator != Accelerator::kGpu) return;
  throw ConfigError(at::globalContext().hasCUDA()
                        ? "trainer.accelerator: gpu is not supported yet"
                        : "trainer.accelerator: gpu, but this LibTorch was built without CUDA",
                    "write trainer.accelerator=cpu, or build against a CUDA LibTorch");
}

/// @throws ConfigError where the options ask for another number of processes than there are
void compare(const TrainerOptions& options, const World& world) {
  const std::int64_t wanted = devices_of(options) * options.num_nodes;
  const bool asked = !options.devices.automatic || options.num_nodes > 1;
  const bool single = options.strategy == StrategyName::kSingle && world.size > 1;
  if (!single && (!asked || wanted == world.size)) return;
  throw ConfigError(
      fmt::format("trainer asks for {} ({} devices on {} nodes), but {} started {} processes",
                  single ? "strategy=single" : fmt::format("{} processes", wanted),
                  devices_of(options), options.num_nodes, world.started_by, world.size),
      "leave out trainer.devices, trainer.num_nodes and trainer.strategy: the number is that of "
      "the "
      "processes that were started");
}

}  // namespace

std::unique_ptr<Strategy> make_strategy(const TrainerOptions& options) {
  refuse_gpu(options);
  const auto world = world_from_environment(process_environment());
  if (!world) {
    if (devices_of(options) == 1 && options.num_nodes == 1) return std::make_unique<Strategy>();
    throw ConfigError(fmt::format("trainer: {} devices on {} nodes need a process each, and this "
                                  "one was started alone",
                                  devices_of(options), options.num_nodes),
                      "start them by the program's verbs, torchrun, mpirun or srun; or write "
                      "trainer.devices=1 trainer.num_nodes=1");
  }
  compare(options, *world);
  if (world->size == 1) return std::make_unique<Strategy>();
  dist::DataParallelOptions parallel;
  parallel.find_unused_parameters = options.strategy == StrategyName::kDdpUnused;
  const std::chrono::milliseconds timeout = timeout_of(options);
  return std::make_unique<DdpStrategy>(
      dist::ProcessGroup::join(*world, timeout, std::max(timeout, dist::kDefaultTimeout)),
      parallel);
}

std::optional<dist::LaunchOptions> processes_to_launch(const TrainerOptions& options, int threads) {
  refuse_gpu(options);
  if (world_from_environment(process_environment())) return std::nullopt;
  if (devices_of(options) == 1 && options.num_nodes == 1) return std::nullopt;
  if (options.strategy == StrategyName::kSingle) {
    throw ConfigError(fmt::format("trainer.strategy: single is one process, but {} devices on {} "
                                  "nodes are asked for",
                                  devices_of(options), options.num_nodes),
                      "write trainer.strategy=ddp, or trainer.devices=1 trainer.num_nodes=1");
  }
  dist::LaunchOptions launch;
  launch.devices = static_cast<int>(devices_of(options));
  launch.num_nodes = options.num_nodes;
  launch.threads = threads;
  launch.timeout = timeout_of(options);
  return launch;
}

}  // namespace polyphony::train
