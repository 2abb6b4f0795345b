// One process of the runs that the tests of `dist` start: `dist_worker MODE [ARGUMENT ...]`.
//
//   launch N TIMEOUT_MS MODE ...   N processes of another mode, watched over
//   train OUT ROWS STEPS PARTS     losses of a small fusion model, ROWS rows a step over all
//   collectives                    each exchange, checked against what it must give, after a
//   SIGPIPE unused NAME|find               a parameter without a gradient differ a model that is
//   not rank 0's work DIR                       exchanges without end until one of them is lost
//   fail DIR, spin DIR             as `work`; rank 1 throws, or computes without end
//   exit CODE...                   rank N exits with CODE number N
// An error is printed and written to DIR/rank-N.error, as the program does with its logs.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/functional/loss.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/world.h>
#include <polyphony/data/sampler.h>
#include <polyphony/dist/data_parallel.h>
#include <polyphony/dist/launch.h>
#include <polyphony/dist/process_group.h>
#include <polyphony/models/multi_modal_transformer.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/tensor/seed.h>

namespace polyphony::dist {
namespace {

using Arguments = std::vector<std::string>;

std::chrono::milliseconds milliseconds_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return std::chrono::milliseconds(text != nullptr ? std::atoi(text) : otherwise);
}

World world() { return world_from_environment(process_environment()).value_or(World{}); }

std::unique_ptr<ProcessGroup> join() {
  return ProcessGroup::join(world(), milliseconds_of("DIST_TIMEOUT_MS", 20000),
                            milliseconds_of("DIST_MEETING_MS", 60000));
}

void require(bool fact, const std::string& what) {
  if (!fact) throw DataError("not so: " + what);
}

// --- training ---------------------------------------------------------------------------------

constexpr std::int64_t kAudio = 24, kText = 20, kPositions = 12, kClasses = 7;

models::MultiModalTransformer make_model() {
  models::MultiModalTransformerOptions options;
  options.model_dims = 32;
  options.attn_dropout = options.relu_dropout = options.res_dropout = options.emb_dropout =
      options.out_dropout = 0;
  options.audio_dims = kAudio;
  options.text_dims = kText;
  options.num_labels = kClasses;
  return models::MultiModalTransformer(options);
}

tensor::NamedTensors parameters_of(const torch::nn::Module& model) {
  tensor::NamedTensors parameters;
  for (const auto& entry : model.named_parameters()) {
    parameters.emplace_back(entry.key(), entry.value());
  }
  return parameters;
}

/// Every step's rows over all processes are a function of the step alone. The largest of a row's
/// first numbers is its label, which can be learnt.
struct Rows {
  at::Tensor audio, text, label;

  Rows(std::int64_t step, std::int64_t count) {
    at::manual_seed(1000 + static_cast<std::uint64_t>(step));
    audio = at::randn({count, kPositions, kAudio});
    text = at::randn({count, kPositions, kText});
    label = audio.select(1, 0).narrow(1, 0, kClasses).argmax(1);
  }
  Rows(const Rows& all, const at::Tensor& rows)
      : audio(all.audio.index_select(0, rows)),
        text(all.text.index_select(0, rows)),
        label(all.label.index_select(0, rows)) {}
};

/// One step in `parts` backward passes, of which the last exchanges. @returns the loss over all
double train_step(models::MultiModalTransformer& model, optim::Optimizer& optimizer,
                  ProcessGroup* group, DistributedDataParallel* parallel, const Rows& rows,
                  std::int64_t parts) {
  const data::Shard shard{group != nullptr ? group->rank() : 0,
                          group != nullptr ? group->size() : 1};
  double sum = 0;
  const std::int64_t each = rows.label.size(0) / parts;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::vector<std::int64_t> mine = data::evaluation_rows(each, shard);
    const Rows batch(rows, at::tensor(mine) + part * each);
    const at::Tensor logits = model.forward(batch.audio, {}, batch.text, {});
    const at::Tensor loss = torch::nn::functional::cross_entropy(logits, batch.label);
    const double scale = 1.0 / static_cast<double>(parts);
    if (parallel != nullptr) {
      parallel->backward(loss * scale,
                         part + 1 == parts ? GradientSync::kNow : GradientSync::kLater);
    } else {
      (loss * scale).backward();
    }
    sum += loss.item<double>() * scale / static_cast<double>(shard.world);
  }
  optimizer.step(optim::clip_scale(optim::grad_norm(optimizer), 1.0));
  optimizer.zero_grad(optim::Optimizer::ZeroGrad::kKeepStorage);
  if (group != nullptr) group->all_reduce(std::span(&sum, 1));
  return sum;
}

void train(const Arguments& arguments) {
  const std::int64_t rows = std::stol(arguments.at(1)), steps = std::stol(arguments.at(2)),
                     parts = std::stol(arguments.at(3));
  tensor::set_up_compute(1, tensor::Determinism::kOff);
  const World place = world();
  // Ranks begin with different weights: only the first broadcast makes them equal.
  at::manual_seed(static_cast<std::uint64_t>(7 + place.rank));
  models::MultiModalTransformer model = make_model();
  std::unique_ptr<ProcessGroup> group;
  std::unique_ptr<DistributedDataParallel> parallel;
  if (!place.started_by.empty()) {
    group = join();
    DataParallelOptions options;
    options.bucket_cap_mb = 0.05;  // several pieces, so that passes overlap with exchanges
    parallel = std::make_unique<DistributedDataParallel>(*group, parameters_of(model),
                                                         tensor::NamedTensors{}, options);
  }
  optim::AdamW optimizer({});
  optimizer.attach(parameters_of(model));
  std::string losses;
  for (std::int64_t step = 0; step < steps; ++step) {
    const double loss =
        train_step(model, optimizer, group.get(), parallel.get(), Rows(step, rows), parts);
    losses += fmt::format("{:.17g}\n", loss);
  }
  if (place.rank == 0) write_file(arguments.at(0), losses);
  if (group) group->barrier();
}

// --- exchanges --------------------------------------------------------------------------------

void collectives() {
  const auto group = join();
  std::raise(SIGPIPE);  // as a write to a process that is gone
  const int rank = group->rank(), size = group->size();
  const at::Tensor sum = at::full({3}, rank + 1, at::kDouble);
  group->all_reduce(sum);
  require(sum[2].item<double>() == size * (size + 1) / 2.0, "all_reduce sums");
  double pair[] = {1.0, static_cast<double>(rank)};
  group->all_reduce(pair);
  require(pair[0] == size && pair[1] == size * (size - 1) / 2.0, "all_reduce of numbers sums");
  double least = rank + 3;
  group->all_reduce(std::span(&least, 1), Reduction::kMin);
  require(least == 3, "the least");
  require(group->max(rank * 10) == (size - 1) * 10, "max");
  const at::Tensor from_last = at::full({2, 2}, rank);
  group->broadcast(from_last, size - 1);
  require(from_last[1][1].item<float>() == static_cast<float>(size - 1), "broadcast");
  require(group->broadcast(rank == 0 ? "a path" : "", 0) == "a path", "broadcast of a text");
  require(group->broadcast(std::string(), 0).empty(), "broadcast of nothing");
  const std::vector<std::string> texts = group->all_gather(std::string(rank, 'x'));
  for (int i = 0; i < size; ++i) require(texts[i] == std::string(i, 'x'), "all_gather of texts");

  // Rank r has r rows, each of its number; rank 0 has no tensor at all.
  const at::Tensor rows = rank == 0 ? at::Tensor() : at::full({rank, 2}, rank, at::kFloat);
  const at::Tensor all = group->all_gather_rows(rows);
  std::int64_t at_row = 0;
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < i; ++j) {
      require(all[at_row++][1].item<float>() == static_cast<float>(i), "rows in rank order");
    }
  }
  require(size == 1 ? !all.defined() : all.size(0) == at_row, "every row once");
  require(!group->all_gather_rows({}).defined(), "no rows of anybody");
  require(group->all_gather_rows(at::empty({0, 3})).size(0) == 0, "no rows, of a known shape");
  group->barrier();
}

void unused(const Arguments& arguments) {
  const auto group = join();
  const at::Tensor used = at::ones({2}).requires_grad_();
  const at::Tensor idle = at::ones({2}).requires_grad_();
  DataParallelOptions options;
  options.find_unused_parameters = arguments.at(0) == "find";
  DistributedDataParallel parallel(*group, {{"head.used", used}, {"head.idle", idle}}, {}, options);
  // Rank 1 alone leaves it out.
  for (int step = 0; step < 3; ++step) {
    const at::Tensor both = used.sum() * (group->rank() + 1);
    parallel.backward(group->rank() == 1 ? both : both + 4 * idle.sum(), GradientSync::kNow);
    require(used.grad()[0].item<float>() == 1.5F, "the mean of 1 and 2");
    require(idle.grad()[0].item<float>() == 2.0F, "the mean of 4 and nothing");
    used.mutable_grad().zero_();
    idle.mutable_grad().zero_();
  }
  group->barrier();
}

void differ() {
  const auto group = join();
  const at::Tensor weight = at::ones({group->rank() == 1 ? 3 : 2}).requires_grad_();
  DistributedDataParallel parallel(*group, {{"head.weight", weight}});
}

// --- ends -------------------------------------------------------------------------------------

/// Steps of a model of two numbers; `upset` is what goes wrong at the 20th.
void work(const std::filesystem::path& directory, void (*upset)(int rank)) {
  const World place = world();
  const auto group = join();
  try {
    const at::Tensor weight = at::ones({2}).requires_grad_();
    DistributedDataParallel parallel(*group, {{"weight", weight}});
    write_file(directory / fmt::format("rank-{}.pid", place.rank), std::to_string(getpid()));
    constexpr int kLongest = 6000;  // a minute: a test that went wrong leaves nothing behind
    constexpr int kUpset = 20;
    for (int step = 0; step < kLongest; ++step) {
      parallel.backward(weight.sum(), GradientSync::kNow);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (step == kUpset) upset(place.rank);
    }
  } catch (const std::exception& error) {
    group->fail(error.what());
    write_file(directory / fmt::format("rank-{}.error", place.rank), error.what());
    throw;
  }
}

void nothing(int) {}
void throw_at_one(int rank) {
  if (rank == 1) throw DataError("the loss is nan at step 20, rows 3 4");
}
void spin_at_one(int rank) {
  volatile bool on = rank == 1;
  while (on) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

int run(const std::string& mode, const Arguments& arguments);

void launch_others(const Arguments& arguments) {
  LaunchOptions options;
  options.devices = std::stoi(arguments.at(0));
  options.timeout = std::chrono::milliseconds(std::stoi(arguments.at(1)));
  if (const char* nodes = std::getenv("NUM_NODES")) options.num_nodes = std::atoi(nodes);
  setenv("DIST_TIMEOUT_MS", arguments.at(1).c_str(), 1);
  const std::vector<std::string> rest(arguments.begin() + 3, arguments.end());
  launch(options, process_environment(), [&] {
    if (const int code = run(arguments.at(2), rest); code != 0) std::_Exit(code);
  });
}

int run(const std::string& mode, const Arguments& arguments) {
  if (mode == "launch") {
    launch_others(arguments);
  } else if (mode == "train") {
    train(arguments);
  } else if (mode == "collectives") {
    collectives();
  } else if (mode == "unused") {
    unused(arguments);
  } else if (mode == "differ") {
    differ();
  } else if (mode == "work") {
    work(arguments.at(0), nothing);
  } else if (mode == "fail") {
    work(arguments.at(0), throw_at_one);
  } else if (mode == "spin") {
    work(arguments.at(0), spin_at_one);
  } else if (mode == "exit") {
    return std::stoi(arguments.at(static_cast<std::size_t>(world().rank)));
  } else {
    throw UsageError("no such mode: " + mode);
  }
  return 0;
}

}  // namespace
}  // namespace polyphony::dist

int main(int argc, char** argv) {
  try {
    return polyphony::dist::run(argv[1], {argv + 2, argv + argc});
  } catch (const polyphony::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "unexpected: {}\n", error.what());
    return static_cast<int>(polyphony::ExitCode::kInternal);
  }
}
