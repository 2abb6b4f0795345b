#include <polyphony/train/make_strategy.h>

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/device.h>
#include <polyphony/train/ddp_strategy.h>

namespace polyphony::train {
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

/// @throws ConfigError if the options ask for another number of processes than there are
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
      "the processes that were started");
}

}  // namespace

std::unique_ptr<Strategy> make_strategy(const TrainerOptions& options) {
  const auto world = world_from_environment(process_environment());
  const at::Device device = tensor::device_for(options.accelerator, world ? world->local_rank : 0);
  if (!world) {
    if (devices_of(options) == 1 && options.num_nodes == 1) {
      return std::make_unique<Strategy>(device);
    }
    throw ConfigError(fmt::format("trainer: {} devices on {} nodes need a process each, and this "
                                  "one was started alone",
                                  devices_of(options), options.num_nodes),
                      "start them by the program's verbs, torchrun, mpirun or srun; or write "
                      "trainer.devices=1 trainer.num_nodes=1");
  }
  compare(options, *world);
  if (world->size == 1) return std::make_unique<Strategy>(device);
  dist::DataParallelOptions parallel;
  parallel.find_unused_parameters = options.strategy == StrategyName::kDdpUnused;
  const std::chrono::milliseconds timeout = timeout_of(options);
  return std::make_unique<DdpStrategy>(
      device,
      std::make_unique<dist::GroupCollective>(
          dist::ProcessGroup::join(*world, timeout, std::max(timeout, dist::kDefaultTimeout))),
      parallel);
}

std::optional<dist::LaunchOptions> processes_to_launch(const TrainerOptions& options, int threads) {
  tensor::device_for(options.accelerator, 0);  // refuses in one process what all would
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
