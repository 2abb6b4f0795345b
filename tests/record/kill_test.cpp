// A run killed by SIGKILL at any instant is listed, readable by all readers, and complete up to the
// last second. POLYPHONY_KILLS sets how many are killed (20).
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <polyphony/record/formats/csv_log.h>
#include <polyphony/record/formats/mlflow_log.h>
#include <polyphony/record/formats/tensorboard_log.h>
#include <polyphony/record/formats/wandb_log.h>
#include <polyphony/record/host.h>
#include <polyphony/record/import.h>
#include <polyphony/record/recorder.h>
#include <polyphony/record/store_log.h>
#include <polyphony/record/system.h>

#include "scratch_folder.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostRows = 100'000;

/// What the child has logged, seen by the parent after the child is gone.
struct Truth {
  std::atomic<std::size_t> rows = 0;
  std::array<double, kMostRows> times{};  ///< when each row was logged
};

/// Memory that a child shares with its parent.
class SharedTruth {
 public:
  SharedTruth()
      : memory_(mmap(nullptr, sizeof(Truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0)),
        truth_(new (memory_) Truth) {}
  ~SharedTruth() { munmap(memory_, sizeof(Truth)); }
  SharedTruth(const SharedTruth&) = delete;
  SharedTruth& operator=(const SharedTruth&) = delete;
  Truth& operator*() const { return *truth_; }

 private:
  void* memory_;
  Truth* truth_;
};

/// Logs a row a millisecond to every format until it is killed.
[[noreturn]] void log_for_ever(const fs::path& folder, Truth& truth) {
  RunInfo info;
  info.name = "killed";
  info.host = host_name();
  info.pid = process_id();
  info.directory = folder;
  std::vector<std::unique_ptr<Sink>> sinks;
  sinks.push_back(std::make_unique<StoreLog>(folder / "runs.db", info));
  sinks.push_back(std::make_unique<CsvLog>(folder / "csv", ""));
  sinks.push_back(
      std::make_unique<TensorBoardLog>(TensorBoardOptions{folder / "tensorboard", "", true}, info));
  WandbOptions wandb;
  wandb.save_dir = folder;
  wandb.id = "killed";
  sinks.push_back(std::make_unique<WandbLog>(wandb, info));
  MlflowOptions mlflow;
  mlflow.directory = folder / "mlruns";
  sinks.push_back(std::make_unique<MlflowLog>(mlflow, info));
  Recorder recorder(std::move(sinks));
  for (std::size_t row = 0; row < kMostRows; ++row) {
    const auto step = static_cast<std::int64_t>(row);
    recorder.log({step, step / 100, now(), {{"loss", double(step)}, {"lr", 0.5}}});
    truth.times.at(row) = now();
    truth.rows = row + 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  _exit(0);
}

/// How many rows a reader found; they must be the first ones, whole and in order.
std::size_t rows_of(const std::vector<Metric>& metrics, const std::string& reader) {
  std::size_t rows = 0;
  for (const Metric& metric : metrics) {
    if (metric.name != "loss") continue;
    EXPECT_EQ(metric.step, static_cast<std::int64_t>(rows)) << reader;
    EXPECT_EQ(metric.value, double(rows)) << reader;
    ++rows;
  }
  return rows;
}

/// @return seconds of log that are missing at the end, the largest of all readers
double check_killed_run(const fs::path& folder, const Truth& truth, double killed) {
  const Store store(folder / "runs.db", StoreMode::kExisting);
  const auto runs = store.runs();
  EXPECT_EQ(runs.size(), 1U);
  if (runs.size() != 1) return 0;
  EXPECT_TRUE(runs[0].died);
  const std::vector<std::pair<std::string, std::vector<Metric>>> readers = {
      {"store", store.metrics(runs[0].id)},
      {"csv", read_csv_log(folder / "csv/metrics.csv").metrics},
      {"tensorboard", read_tensorboard(folder / "tensorboard").metrics},
      {"wandb", read_wandb(*find_wandb_run(folder, "killed")).metrics}};
  double lost = 0;
  for (const auto& [name, metrics] : readers) {
    const std::size_t rows = rows_of(metrics, name);
    if (rows < truth.rows) lost = std::max(lost, killed - truth.times.at(rows));
  }
  return lost;
}

/// The longest pause between two rows: how long the machine made the process wait.
double longest_pause(const Truth& truth) {
  double pause = 0;
  for (std::size_t row = 1; row < truth.rows; ++row) {
    pause = std::max(pause, truth.times.at(row) - truth.times.at(row - 1));
  }
  return pause;
}

TEST(KilledRunSlow, IsCompleteUpToTheLastSecondInEveryFormat) {
  const char* wanted = std::getenv("POLYPHONY_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 20;
  std::mt19937 random(7);
  std::uniform_int_distribution<int> rows_until(1, 1500);
  double worst = 0;
  for (int kill_number = 0; kill_number < kills; ++kill_number) {
    const Scratch scratch;
    const SharedTruth truth;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) log_for_ever(scratch.path(), *truth);
    // At a random moment of its life, from the first row on; in between rows, too.
    const auto until = static_cast<std::size_t>(rows_until(random));
    while ((*truth).rows < until && waitpid(child, nullptr, WNOHANG) == 0) usleep(300);
    usleep(static_cast<useconds_t>(random() % 1000));
    const double killed = now();
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    if (!fs::exists(scratch.path() / "csv/metrics.csv")) {
      EXPECT_LT(killed - (*truth).times[0], 1 + 4 * longest_pause(*truth));
      continue;  // killed before the first flush
    }
    const double lost = check_killed_run(scratch.path(), *truth, killed);
    EXPECT_LT(lost, 1 + 4 * longest_pause(*truth)) << "kill " << kill_number;
    worst = std::max(worst, lost);
  }
  fmt::print("{} runs killed; at most {:.3f} s of log lost\n", kills, worst);
}

}  // namespace
}  // namespace polyphony::record
