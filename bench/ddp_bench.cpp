// Samples a second of the small fusion model as one of several processes, or as the only one.
//
// usage: ddp_bench launch N STEPS   N processes of one thread each
//        ddp_bench run STEPS        this process alone, one thread
//
// The model of the quickstart's fusion: dims 128, 4 heads, 2 layers, 64 positions, 7 classes,
// dropout 0.3, AdamW, batch 32 a process. Rank 0 prints samples a second over all processes; the
// first five steps are not counted.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/functional/loss.h>

#include <polyphony/base/error.h>
#include <polyphony/dist/data_parallel.h>
#include <polyphony/dist/launch.h>
#include <polyphony/models/multi_modal_transformer.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/tensor/seed.h>

namespace polyphony {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kBatch = 32, kPositions = 64, kAudio = 80, kText = 64, kClasses = 7;
constexpr int kWarmUp = 5;

models::MultiModalTransformer make_model() {
  models::MultiModalTransformerOptions options;
  options.model_dims = 128;
  options.attn_dropout = options.relu_dropout = options.res_dropout = options.emb_dropout =
      options.out_dropout = 0.3;
  options.audio_dims = kAudio;
  options.text_dims = kText;
  options.num_labels = kClasses;
  return models::MultiModalTransformer(options);
}

void run(int steps) {
  tensor::set_up_compute(1, tensor::Determinism::kOff);
  const auto world = world_from_environment(process_environment());
  at::manual_seed(static_cast<std::uint64_t>(world ? world->rank : 0));
  models::MultiModalTransformer model = make_model();
  tensor::NamedTensors parameters;
  for (const auto& entry : model.named_parameters()) {
    parameters.emplace_back(entry.key(), entry.value());
  }
  std::unique_ptr<dist::ProcessGroup> group;
  std::unique_ptr<dist::DistributedDataParallel> parallel;
  if (world) {
    group = dist::ProcessGroup::join(*world);
    parallel = std::make_unique<dist::DistributedDataParallel>(*group, parameters);
  }
  optim::AdamW optimizer({});
  optimizer.attach(parameters);
  const at::Tensor audio = at::randn({kBatch, kPositions, kAudio});
  const at::Tensor text = at::randn({kBatch, kPositions, kText});
  const at::Tensor label = at::randint(kClasses, {kBatch}, at::kLong);
  Clock::time_point begin;
  for (int step = 0; step < kWarmUp + steps; ++step) {
    if (step == kWarmUp) begin = Clock::now();
    const at::Tensor loss =
        torch::nn::functional::cross_entropy(model.forward(audio, {}, text, {}), label);
    if (parallel) {
      parallel->backward(loss, dist::GradientSync::kNow);
    } else {
      loss.backward();
    }
    optimizer.step();
    optimizer.zero_grad(optim::Optimizer::ZeroGrad::kKeepStorage);
  }
  if (group) group->barrier();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const int processes = group ? group->size() : 1;
  if (!group || group->rank() == 0) {
    fmt::print("{} processes: {:.2f} samples/s, {:.4f} s a step\n", processes,
               static_cast<double>(processes * kBatch * steps) / seconds, seconds / steps);
  }
}

void launch(const std::string& processes, const std::string& steps) {
  dist::LaunchOptions options;
  options.devices = std::stoi(processes);
  options.threads = options.devices;
  dist::launch(options, process_environment(), [&] { run(std::stoi(steps)); });
}

}  // namespace
}  // namespace polyphony

int main(int argc, char** argv) {
  try {
    if (argc == 4 && std::string(argv[1]) == "launch") {
      polyphony::launch(argv[2], argv[3]);
      return 0;
    }
    if (argc == 3 && std::string(argv[1]) == "run") {
      polyphony::run(std::stoi(argv[2]));
      return 0;
    }
    fmt::print(stderr, "usage: ddp_bench launch N STEPS | run STEPS\n");
    return 2;
  } catch (const polyphony::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.exit_code());
  }
}
