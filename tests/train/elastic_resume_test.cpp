// A fit goes on in another number of processes than it was begun in, or with other batches.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/base/environment.h>
#include <polyphony/base/files.h>
#include <polyphony/base/signals.h>
#include <polyphony/callbacks/early_stopping.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/dist/launch.h>
#include <polyphony/optim/plateau.h>
#include <polyphony/optim/sgd.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/make_strategy.h>

#include "toy.h"

namespace polyphony::train {
namespace {

namespace fs = std::filesystem;

/// Logs how many rows each epoch had over all processes, by sums of the log and by its own counts.
class CountingTask : public ToyTask {
 public:
  at::Tensor training_step(const data::Batch& batch, std::int64_t index) override {
    LogOptions sum;
    sum.on_epoch = sum.on_step = sum.sync_dist = true;
    sum.reduce_fx = ReduceFx::kSum;
    const std::int64_t rows = batch.at("label").size(0);
    log("rows", static_cast<double>(rows), sum);
    LogOptions mean = sum;
    mean.reduce_fx = ReduceFx::kMean;
    log("label", batch.at("label").to(at::kDouble).mean().item<double>(), mean);
    counted_ += rows;
    return ToyTask::training_step(batch, index);
  }
  void training_epoch_end() override {
    LogOptions sum;
    sum.on_epoch = sum.sync_dist = true;
    sum.reduce_fx = ReduceFx::kSum;
    log("counted", static_cast<double>(counted_), sum);
    counted_ = 0;
  }
  void set_training(bool) override { ToyTask::set_training(false); }  // no dropout
  tensor::Value metric_state() const override { return tensor::Value(counted_); }
  void load_metric_state(const tensor::Value& state) override { counted_ = state.as_int(); }
  bool merge_metric_state(const tensor::Value& other) override {
    counted_ += other.as_int();
    return true;
  }

 private:
  std::int64_t counted_ = 0;
};

class LongRows : public ToyDataset {
 public:
  using ToyDataset::ToyDataset;
  std::vector<std::int64_t> lengths() const override {
    std::vector<std::int64_t> lengths;
    for (std::int64_t i = 0; i < size(); ++i) lengths.push_back(i * 7 % 13);
    return lengths;
  }
};

struct Setting {
  std::int64_t rows = 47;
  int batch_size = 3;
  int length_buckets = 0;
  TrainerOptions options = quiet(3);
  std::function<Optimization()> optimization = toy_optimization;
  bool stops_early = false;
};

Optimization plain_sgd() {
  Optimization optimization;
  optim::SgdOptions sgd;
  sgd.lr = 0.1;
  optimization.optimizer = std::make_unique<optim::Sgd>(sgd);
  return optimization;
}

Optimization sgd_on_plateau() {
  Optimization optimization = plain_sgd();
  optim::ReduceLROnPlateauOptions plateau;
  plateau.monitor = "val_loss";
  optimization.schedule = std::make_unique<optim::ReduceLROnPlateau>(plateau);
  return optimization;
}

/// Writes down the rows that this process trains on, and stops the run after some batches.
class Witness : public Callback {
 public:
  Witness(const fs::path& directory, std::int64_t stop_after)
      : directory_(directory), left_(stop_after) {}
  void on_train_batch_start(Trainer& trainer, const data::Batch& batch, std::int64_t) override {
    std::ofstream file(directory_ / ("rows" + std::to_string(trainer.collective().rank())),
                       std::ios::app);
    const at::Tensor index = batch.at("index");
    for (std::int64_t i = 0; i < index.numel(); ++i) {
      file << trainer.current_epoch() << ' ' << index.data_ptr<std::int64_t>()[i] << '\n';
    }
  }
  void on_train_batch_end(Trainer&, double, std::int64_t) override {
    if (--left_ == 0) StopSignals::request(SIGTERM);
  }

 private:
  fs::path directory_;
  std::int64_t left_;
};

class FileLines : public Logger {
 public:
  explicit FileLines(const fs::path& path) : path_(path) {}
  void log_metrics(const MetricValues& values, std::int64_t step, std::int64_t epoch) override {
    std::ofstream file(path_, std::ios::app);
    for (const auto& [name, value] : values) {
      file << epoch << ' ' << step << ' ' << name << ' ' << value << '\n';
    }
  }

 private:
  fs::path path_;
};

void run_rank(const Setting& setting, const fs::path& directory, std::int64_t stop_after,
              const fs::path& resume) {
  tensor::seed_everything(resume.empty() ? 5 : 99);
  TrainerOptions options = setting.options;
  options.devices = {};
  std::unique_ptr<Strategy> strategy = make_strategy(options);
  const LongRows train_rows(setting.rows);
  const LongRows val_rows(11);
  data::LoaderOptions loading = toy_loading(true);
  loading.batch_size = setting.batch_size;
  loading.length_buckets = setting.length_buckets;
  loading.even_shards = true;
  loading.shard = {strategy->collective().rank(), strategy->collective().world_size()};
  data::LoaderOptions val_loading = toy_loading(false);
  val_loading.shard = loading.shard;
  data::Loader train(train_rows, loading);
  data::Loader val(val_rows, val_loading);
  TrainerParts parts;
  callbacks::ModelCheckpointOptions checkpoint;
  checkpoint.dirpath = (directory / "checkpoints").string();
  checkpoint.filename = "{epoch}-{step}";
  checkpoint.save_top_k = -1;
  parts.callbacks.push_back(std::make_unique<callbacks::ModelCheckpoint>(checkpoint));
  if (setting.stops_early) {
    callbacks::EarlyStoppingOptions stopping;
    stopping.monitor = "val_loss";
    stopping.patience = 9;
    parts.callbacks.push_back(std::make_unique<callbacks::EarlyStopping>(stopping));
  }
  parts.callbacks.push_back(std::make_unique<Witness>(directory, stop_after));
  parts.loggers.push_back(std::make_unique<FileLines>(directory / "lines"));
  parts.strategy = std::move(strategy);
  CountingTask task;
  task.optimize_with(setting.optimization());
  Trainer trainer(options, directory, std::move(parts));
  trainer.fit(task, train, &val, resume);
  trainer.save_checkpoint(directory / "end.safetensors");
}

/// @return the exit code's class: 0, or that of the first process that failed
int run(int world, const Setting& setting, const fs::path& directory, std::int64_t stop_after = -1,
        const fs::path& resume = {}) {
  fs::create_directories(directory);
  at::set_num_threads(1);  // no pool of threads that a fork would lose
  dist::LaunchOptions launch;
  launch.devices = world;
  launch.threads = world;
  try {
    dist::launch(launch, process_environment(),
                 [&] { run_rank(setting, directory, stop_after, resume); });
    return 0;
  } catch (const Error& error) {
    return static_cast<int>(error.exit_code());
  }
}

/// How often each row of an epoch was trained on.
std::map<std::int64_t, int> rows_of(const std::vector<fs::path>& directories, std::int64_t epoch) {
  std::map<std::int64_t, int> seen;
  for (const fs::path& directory : directories) {
    for (int rank = 0; rank < 4; ++rank) {
      std::ifstream file(directory / ("rows" + std::to_string(rank)));
      std::int64_t of = 0;
      std::int64_t row = 0;
      while (file >> of >> row) {
        if (of == epoch) ++seen[row];
      }
    }
  }
  return seen;
}

/// The last logged value of a name in an epoch; -1 where it was not logged.
double logged(const fs::path& directory, std::int64_t epoch, const std::string& name) {
  std::ifstream file(directory / "lines");
  double last = -1;
  std::int64_t of = 0;
  std::int64_t step = 0;
  std::string key;
  double value = 0;
  while (file >> of >> step >> key >> value) {
    if (of == epoch && key == name) last = value;
  }
  return last;
}

fs::path fresh(const std::string& name) {
  const fs::path base = scratch_directory() / "elastic" / name;
  fs::remove_all(base);
  return base;
}

void expect_each_once(const std::map<std::int64_t, int>& seen, std::int64_t rows) {
  EXPECT_EQ(std::ssize(seen), rows);
  for (const auto& [row, count] : seen) EXPECT_EQ(count, 1) << "row " << row;
}

struct Move {
  int from;
  int to;
};

/// Stops in the second epoch, goes on elsewhere: every row of it is seen once, and counted once.
void expect_whole_epoch(const Setting& setting, Move move, std::int64_t batch,
                        const std::string& name) {
  SCOPED_TRACE(fmt::format("{} from {} to {} at batch {}", name, move.from, move.to, batch));
  const fs::path base = fresh(fmt::format("{}-{}-{}-{}", name, move.from, move.to, batch));
  const std::int64_t step = std::int64_t{setting.batch_size} * move.from;
  const std::int64_t of_epoch = (setting.rows + step - 1) / step;
  ASSERT_EQ(run(move.from, setting, base / "first", of_epoch + batch), 143);
  const fs::path checkpoint = base / "first/checkpoints/interrupted.ckpt";
  ASSERT_TRUE(fs::exists(checkpoint));
  ASSERT_EQ(run(move.to, setting, base / "second", -1, checkpoint), 0);
  expect_each_once(rows_of({base / "first", base / "second"}, 1), setting.rows);
  const auto rows = static_cast<double>(setting.rows);
  EXPECT_EQ(logged(base / "second", 1, "rows_epoch"), rows);
  EXPECT_EQ(logged(base / "second", 1, "counted"), rows);
  double labels = 0;
  for (std::int64_t i = 0; i < setting.rows; ++i) labels += static_cast<double>(i % 3);
  EXPECT_NEAR(logged(base / "second", 1, "label_epoch"), labels / rows, 1e-5);
  EXPECT_NE(logged(base / "second", 1, "val_loss"), -1);
  EXPECT_NE(logged(base / "second", 2, "val_loss"), -1);
  // The last epoch is one of as many processes as there are now.
  const std::int64_t now = std::int64_t{setting.batch_size} * move.to;
  EXPECT_EQ(logged(base / "second", 2, "rows_epoch"),
            static_cast<double>((setting.rows + move.to - 1) / move.to * move.to));
  const tensor::Value last =
      tensor::load_archive(base / "second/checkpoints" /
                           fmt::format("epoch=2-step={}.ckpt",
                                       tensor::load_archive(checkpoint).at("global_step").as_int() +
                                           (setting.rows - batch * step + now - 1) / now +
                                           (setting.rows + now - 1) / now));
  EXPECT_EQ(last.at("epoch").as_int(), 2);
}

TEST(ElasticResume, EveryRowOfTheInterruptedEpochOnceOnMoreAndOnFewerProcesses) {
  for (const Move move : {Move{1, 2}, {2, 1}, {2, 3}, {3, 2}}) {
    for (const std::int64_t batch : {1, 4}) expect_whole_epoch({}, move, batch, "plain");
  }
}

TEST(ElasticResume, WithLengthBuckets) {
  Setting setting;
  setting.length_buckets = 2;
  for (const Move move : {Move{1, 2}, {2, 1}, {3, 2}}) {
    expect_whole_epoch(setting, move, 3, "buckets");
  }
}

TEST(ElasticResume, WithAPlateauAndEarlyStoppingWhoseMetricNewProcessesHaveNotSeen) {
  Setting setting;
  setting.optimization = sgd_on_plateau;
  setting.stops_early = true;
  expect_whole_epoch(setting, {1, 2}, 2, "plateau");
  expect_whole_epoch(setting, {2, 1}, 2, "plateau");
}

// What is left is fewer rows than processes: some only keep step.
TEST(ElasticResume, WithFewerRowsLeftThanProcesses) {
  Setting setting;
  setting.rows = 13;
  for (const Move move : {Move{1, 2}, {1, 3}}) expect_whole_epoch(setting, move, 4, "few");
}

// The gradient of a step of several processes is that of its rows, however few some of them have.
TEST(ElasticResume, StepsAreThoseOfOneProcessWithAsManyRows) {
  for (const int accumulate : {1, 2}) {
    const fs::path base = fresh("steps" + std::to_string(accumulate));
    Setting setting;
    setting.rows = 26;
    setting.options = quiet(1);
    setting.options.accumulate_grad_batches = accumulate;
    setting.optimization = plain_sgd;
    ASSERT_EQ(run(1, setting, base / "first", 3), 143);
    const fs::path checkpoint = base / "first/checkpoints/interrupted.ckpt";
    Setting alone = setting;
    alone.batch_size = 6;
    ASSERT_EQ(run(1, alone, base / "alone", -1, checkpoint), 0);
    ASSERT_EQ(run(2, setting, base / "two", -1, checkpoint), 0);
    EXPECT_EQ(logged(base / "two", 0, "rows_epoch"), 26);
    const auto weights = [&](const char* name) {
      return tensor::load_archive(*fs::directory_iterator(base / name / "checkpoints"))
          .at("state_dict")
          .at("weight")
          .as_tensor();
    };
    EXPECT_TRUE(at::allclose(weights("alone"), weights("two"), 1e-5, 1e-6));
  }
}

// From a validation inside the epoch, and from its end.
TEST(ElasticResume, FromValidationsAndEndsOfEpochs) {
  Setting setting;
  setting.rows = 48;
  setting.options = quiet(2);
  setting.options.val_check_interval = Limit::fraction(0.25);
  for (const Move move : {Move{1, 2}, {2, 1}}) {
    const fs::path base = fresh(fmt::format("validations-{}", move.from));
    ASSERT_EQ(run(move.from, setting, base / "first"), 0);
    const std::int64_t of_epoch = 16 / move.from;
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(base / "first/checkpoints")) {
      const fs::path second = base / entry.path().stem();
      ASSERT_EQ(run(move.to, setting, second, -1, entry.path()), 0) << entry.path();
      const tensor::Value saved = tensor::load_archive(entry.path());
      const std::int64_t step = saved.at("global_step").as_int();
      const std::int64_t epoch = step > of_epoch ? 1 : 0;
      // Of the epoch's four validations those that are left, and of the next one all.
      std::int64_t validations = 0;
      std::ifstream file(second / "lines");
      for (std::string line; std::getline(file, line);) {
        validations += line.find(" val_loss ") != std::string::npos ? 1 : 0;
      }
      EXPECT_EQ(validations, 8 - step / (of_epoch / 4)) << entry.path();
      const auto seen = rows_of({second}, epoch);
      EXPECT_EQ(std::ssize(seen), 48 - (step - epoch * of_epoch) * 3 * move.from) << entry.path();
      ++count;
    }
    EXPECT_EQ(count, 8U);
  }
}

// Another time in the same epoch, and with as many processes as the last time, to the bit.
TEST(ElasticResume, AnEpochIsInterruptedTwice) {
  Setting setting;
  const fs::path base = fresh("twice");
  ASSERT_EQ(run(1, setting, base / "first", 5), 143);
  const fs::path one = base / "first/checkpoints/interrupted.ckpt";
  ASSERT_EQ(run(2, setting, base / "straight", -1, one), 0);
  ASSERT_EQ(run(2, setting, base / "second", 2, one), 143);
  const fs::path two = base / "second/checkpoints/interrupted.ckpt";
  ASSERT_EQ(run(2, setting, base / "third", -1, two), 0);
  ASSERT_EQ(run(3, setting, base / "other", -1, two), 0);
  expect_each_once(rows_of({base / "first", base / "second", base / "third"}, 0), setting.rows);
  expect_each_once(rows_of({base / "first", base / "second", base / "other"}, 0), setting.rows);
  const auto lines = [&](const char* name) { return read_file(base / name / "lines"); };
  EXPECT_TRUE(lines("straight").ends_with(lines("third")));
}

// The schedule ends with the run: its steps are those that are done and those that are left.
TEST(ElasticResume, ThePlannedStepsAreThoseThatTheRunTakes) {
  Setting setting;
  setting.rows = 48;
  const fs::path base = fresh("planned");
  ASSERT_EQ(run(1, setting, base / "first", 16 + 8), 143);  // of 48 steps
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run(2, setting, base / "second", -1, base / "first/checkpoints/interrupted.ckpt"), 0);
  const std::string out = ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(out, ::testing::HasSubstr("2 processes instead of 1: 6 rows a step instead of 3"));
  EXPECT_THAT(out, ::testing::HasSubstr("dealt to 2 processes, each once, in 4 batches"));
  EXPECT_THAT(out, ::testing::HasSubstr("36 steps in all instead of 48: from step 24"));
  const tensor::Value end = tensor::load_archive(base / "second/checkpoints/epoch=2-step=36.ckpt");
  const double rate =
      end.at("optimizer_states").items()[0].at("param_groups").items()[0].at("lr").as_float();
  EXPECT_NEAR(rate, 0.0005, 1e-6);  // where the cosine from 0.05 ends
}

}  // namespace
}  // namespace polyphony::train
