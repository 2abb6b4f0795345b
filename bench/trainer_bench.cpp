// What the trainer costs beside the model: microseconds a step with a model that costs nothing,
// logging every step, with a checkpoint callback and a schedule.
#include <filesystem>
#include <string>

#include <ATen/ops/mul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include <polyphony/callbacks/learning_rate_monitor.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/optim/schedules.h>
#include <polyphony/optim/sgd.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {
namespace {

/// Rows that are nothing but their index; batches of one.
class Nothing : public data::Dataset {
 public:
  explicit Nothing(std::int64_t rows) : rows_(rows), one_(at::zeros({})) {}
  std::int64_t size() const override { return rows_; }
  data::Item get(std::int64_t) const override { return {}; }
  data::Batch collate(std::span<const data::Item>) const override {
    data::Batch batch;
    batch.set("x", one_);
    return batch;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {}; }
  const CsvTable& table() const override { return table_; }

 private:
  std::int64_t rows_;
  at::Tensor one_;
  std::vector<std::string> classes_;
  CsvTable table_;
};

/// One multiplication.
class Trivial : public Task {
 public:
  void setup(const data::Dataset&) override {}
  at::Tensor training_step(const data::Batch& batch, std::int64_t) override {
    at::Tensor loss = at::mul(weight_, batch.at("x"));
    log("train_loss", loss.detach());
    return loss;
  }
  at::Tensor predict_step(const data::Batch& batch, std::int64_t) override { return batch.at("x"); }
  NamedTensors parameters() const override { return {{"w", weight_}}; }
  NamedTensors state() const override { return {{"w", weight_.detach()}}; }
  void load_state(const NamedTensors&, const std::string&) override {}
  void set_training(bool) override {}
  std::string summary(int) const override { return ""; }

 private:
  at::Tensor weight_ = at::zeros({}).requires_grad_(true);
};

class Counting : public Logger {
 public:
  void log_metrics(const MetricValues& values, std::int64_t, std::int64_t) override {
    benchmark::DoNotOptimize(values.size());
  }
};

/// The same tensor work without a trainer.
void bare_step(benchmark::State& state) {
  at::Tensor weight = at::zeros({}).requires_grad_(true);
  const at::Tensor x = at::zeros({});
  optim::Sgd sgd(optim::SgdOptions{});
  sgd.attach({{"w", weight}});
  for (auto _ : state) {
    sgd.zero_grad();
    const at::Tensor loss = at::mul(weight, x);
    benchmark::DoNotOptimize(loss.item<double>());
    loss.backward();
    sgd.step();
  }
}
BENCHMARK(bare_step)->Unit(benchmark::kMicrosecond);

/// Clipping and AdamW over as many weights as a small model has.
void adamw_step(benchmark::State& state) {
  optim::AdamW adamw(optim::AdamWOptions{});
  tensor::NamedTensors parameters;
  for (int i = 0; i < 100; ++i) {
    at::Tensor weight = at::zeros({state.range(0) / 100});
    weight.mutable_grad() = at::ones_like(weight);
    parameters.emplace_back("w" + std::to_string(i), weight);
  }
  adamw.attach(parameters);
  for (auto _ : state) adamw.step(optim::clip_scale(optim::grad_norm(adamw), 1.0));
  state.SetBytesProcessed(state.iterations() * state.range(0) * 7 * 4);
}
BENCHMARK(adamw_step)->Arg(1'800'000)->Arg(20'000'000)->Unit(benchmark::kMicrosecond);

void trainer_step(benchmark::State& state) {
  constexpr std::int64_t kSteps = 20000;
  const Nothing rows(kSteps);
  data::LoaderOptions loading;
  loading.batch_size = 1;
  loading.workers = 0;
  data::Loader loader(rows, loading);
  TrainerOptions options;
  options.max_epochs = 1;
  options.log_every_n_steps = 1;
  TrainerParts parts;
  parts.callbacks.push_back(std::make_unique<callbacks::ModelCheckpoint>([] {
    callbacks::ModelCheckpointOptions never;
    never.save_top_k = 0;
    return never;
  }()));
  parts.callbacks.push_back(std::make_unique<callbacks::LearningRateMonitor>());
  parts.loggers.push_back(std::make_unique<Counting>());
  Trainer trainer(options, std::filesystem::temp_directory_path(), std::move(parts));
  Trivial task;
  for (auto _ : state) {
    task.optimize_with({std::make_unique<optim::Sgd>(optim::SgdOptions{}),
                        std::make_unique<optim::WarmupCosine>(optim::WarmupCosineOptions{})});
    trainer.fit(task, loader);
  }
  using benchmark::Counter;
  state.counters["s_per_step"] =
      Counter(static_cast<double>(kSteps), Counter::kIsIterationInvariantRate | Counter::kInvert);
}
BENCHMARK(trainer_step)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace polyphony::train
