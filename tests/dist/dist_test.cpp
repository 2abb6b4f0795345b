// Several processes, as users start them.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "dist/processes.h"
#include "scratch.h"

namespace polyphony::dist {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::vector<std::string> launched(int devices, const std::string& timeout_ms,
                                  const std::vector<std::string>& mode) {
  std::vector<std::string> command = {POLYPHONY_DIST_WORKER, "launch", std::to_string(devices),
                                      timeout_ms};
  command.insert(command.end(), mode.begin(), mode.end());
  return command;
}

/// An empty folder for one test's files.
fs::path folder() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const fs::path path = scratch_directory() / test->name();
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

std::vector<double> numbers(const fs::path& path) {
  std::istringstream text(read_file(path));
  std::vector<double> values;
  for (double value = 0; text >> value;) values.push_back(value);
  return values;
}

std::vector<double> losses(int processes, int rows, int parts) {
  const fs::path out = folder() / fmt::format("losses-{}-{}", processes, parts);
  const std::vector<std::string> mode = {"train", out, std::to_string(rows), "50",
                                         std::to_string(parts)};
  std::vector<std::string> alone = {POLYPHONY_DIST_WORKER};
  alone.insert(alone.end(), mode.begin(), mode.end());
  Process process(processes == 0 ? alone : launched(processes, "60000", mode), folder() / "output");
  EXPECT_EQ(process.wait(), 0) << process.output();
  return numbers(out);
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]) / std::abs(b[i]));
  }
  return largest;
}

TEST(DataParallelSlow, SeveralProcessesTrainAsOneWithAllTheirRows) {
  constexpr int kRows = 24;
  const std::vector<double> alone = losses(0, kRows, 1);
  ASSERT_EQ(alone.size(), 50U);
  EXPECT_LT(alone.back(), 0.9 * alone.front());  // it learns, so a wrong step would show
  for (const int processes : {1, 2, 3, 4}) {
    const double difference = largest_difference(losses(processes, kRows, 1), alone);
    fmt::print("{} processes: {:.1e} relative over 50 steps\n", processes, difference);
    EXPECT_LT(difference, 1e-5) << processes;
  }
}

TEST(DataParallelSlow, AccumulatedPassesTrainAsOne) {
  const double difference = largest_difference(losses(2, 24, 3), losses(0, 24, 1));
  fmt::print("2 processes, 3 passes a step: {:.1e} relative over 50 steps\n", difference);
  EXPECT_LT(difference, 1e-5);
}

TEST(ProcessGroup, ExchangesGiveWhatTheyShould) {
  for (const int processes : {1, 2, 4}) {
    Process process(launched(processes, "60000", {"collectives"}), folder() / "output");
    EXPECT_EQ(process.wait(), 0) << processes << process.output();
  }
}

TEST(DataParallel, NamesTheParameterThatGotNoGradient) {
  Process process(launched(2, "20000", {"unused", "name"}), folder() / "output");
  EXPECT_NE(process.wait(), 0);
  EXPECT_THAT(process.output(), HasSubstr("1 parameters got no gradient in this step on rank 1"));
  EXPECT_THAT(process.output(), HasSubstr("head.idle"));
}

TEST(DataParallel, FindsUnusedParametersWhereAsked) {
  Process process(launched(2, "60000", {"unused", "find"}), folder() / "output");
  EXPECT_EQ(process.wait(), 0) << process.output();
}

TEST(DataParallel, RefusesModelsThatDiffer) {
  Process process(launched(2, "20000", {"differ"}), folder() / "output");
  EXPECT_EQ(process.wait(), 1);
  EXPECT_THAT(process.output(), HasSubstr("has another model than rank 0"));
  EXPECT_THAT(process.output(),
              HasSubstr("head.weight Float [3], rank 0's is head.weight Float [2]"));
}

/// Processes at work, one of which something befalls.
class Loss : public testing::Test {
 protected:
  static constexpr int kProcesses = 3;
  static constexpr const char* kTimeout = "3000";

  void start(const std::string& mode) {
    directory_ = folder();
    launcher_ = std::make_unique<Process>(launched(kProcesses, kTimeout, {mode, directory_}),
                                          directory_ / "output");
    for (int rank = 0; rank < kProcesses; ++rank) {
      const fs::path path = directory_ / fmt::format("rank-{}.pid", rank);
      ASSERT_TRUE(eventually([&] { return fs::exists(path); })) << launcher_->output();
      pids_[rank] = std::stoi(read_file(path));
    }
    // In the middle of the work.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }

  std::string error_of(int rank) const {
    const fs::path path = directory_ / fmt::format("rank-{}.error", rank);
    return fs::exists(path) ? read_file(path) : "no error";
  }

  /// The launcher ends with `code`, and nothing that it started is left.
  void expect_end(int code) {
    EXPECT_EQ(launcher_->wait(), code) << launcher_->output();
    for (const pid_t pid : pids_) {
      EXPECT_TRUE(eventually([pid] { return kill(pid, 0) != 0; }, std::chrono::seconds(5))) << pid;
    }
  }

  fs::path directory_;
  std::unique_ptr<Process> launcher_;
  std::array<pid_t, kProcesses> pids_{};
};

TEST_F(Loss, OfAKilledRankEndsTheOthersAndIsNamed) {
  start("work");
  kill(pids_[1], SIGKILL);
  expect_end(5);
  for (const int rank : {0, 2}) {
    EXPECT_THAT(error_of(rank), HasSubstr("rank 1 (host ")) << rank << launcher_->output();
    EXPECT_THAT(error_of(rank), HasSubstr("has ended"));
  }
  EXPECT_THAT(launcher_->output(), HasSubstr("rank 1 (host "));
  EXPECT_THAT(launcher_->output(), HasSubstr("was ended by signal 9 (Killed)"));
}

TEST_F(Loss, OfRankZeroEndsTheOthersAndIsNamed) {
  start("work");
  kill(pids_[0], SIGKILL);
  expect_end(5);
  for (const int rank : {1, 2}) {
    EXPECT_THAT(error_of(rank), HasSubstr("rank 0 (host "));
  }
}

TEST_F(Loss, OfAStoppedRankEndsTheOthersAndIsNamed) {
  start("work");
  kill(pids_[2], SIGSTOP);
  expect_end(5);
  for (const int rank : {0, 1}) {
    EXPECT_THAT(error_of(rank), HasSubstr("rank 2 (host "));
    EXPECT_THAT(error_of(rank), HasSubstr("has not been heard of"));
  }
  EXPECT_THAT(launcher_->output(), HasSubstr("did not end when the others did, and was ended"));
}

TEST_F(Loss, OfAStoppedRankZeroEndsTheOthersAndIsNamed) {
  start("work");
  kill(pids_[0], SIGSTOP);
  expect_end(5);
  for (const int rank : {1, 2}) {
    EXPECT_THAT(error_of(rank), HasSubstr("rank 0 (host "));
    EXPECT_THAT(error_of(rank), HasSubstr("has not been heard of"));
  }
}

TEST_F(Loss, OfARankByItsOwnErrorIsToldToTheOthersInItsWords) {
  start("fail");
  expect_end(3);
  for (const int rank : {0, 2}) {
    EXPECT_THAT(error_of(rank), HasSubstr("rank 1 (host "));
    EXPECT_THAT(error_of(rank), HasSubstr("failed: the loss is nan at step 20, rows 3 4"));
  }
}

TEST_F(Loss, OfARankThatComputesWithoutEndIsNamed) {
  start("spin");
  expect_end(5);
  for (const int rank : {0, 2}) {
    EXPECT_THAT(error_of(rank), HasSubstr("rank 1 (host "));
    EXPECT_THAT(error_of(rank), HasSubstr("is alive but did not come to the exchange"));
  }
}

TEST_F(Loss, OfTheLauncherLeavesNoOrphan) {
  start("work");
  kill(launcher_->pid(), SIGKILL);
  expect_end(128 + SIGKILL);
}

TEST_F(Loss, OfAllBySigtermIsHandedOnByTheLauncher) {
  start("work");
  kill(launcher_->pid(), SIGTERM);
  expect_end(128 + SIGTERM);
  EXPECT_THAT(launcher_->output(), HasSubstr("was ended by signal 15"));
}

TEST(Launch, ReturnsTheExitCodeOfTheRankThatFailed) {
  Process good(launched(3, "3000", {"exit", "0", "0", "0"}), folder() / "output");
  EXPECT_EQ(good.wait(), 0);
  Process bad(launched(3, "3000", {"exit", "5", "4", "0"}), folder() / "output");
  EXPECT_EQ(bad.wait(), 4);  // 5 is what a rank ends with that has lost another
}

TEST(Launch, NamesTheRanksThatDoNotCome) {
  setenv("NUM_NODES", "2", 1);
  setenv("NODE_RANK", "0", 1);
  setenv("MASTER_ADDR", "127.0.0.1", 1);
  setenv("MASTER_PORT", "29871", 1);
  setenv("DIST_MEETING_MS", "2000", 1);
  Process process(launched(2, "20000", {"collectives"}), folder() / "output");
  for (const char* name :
       {"NUM_NODES", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "DIST_MEETING_MS"}) {
    unsetenv(name);
  }
  EXPECT_EQ(process.wait(), 5);
  EXPECT_THAT(process.output(), HasSubstr("rank 2, 3 of 4 did not come to 127.0.0.1:29871"));
}

TEST(Launch, SaysThatThePortIsTaken) {
  setenv("MASTER_PORT", "29872", 1);
  const fs::path directory = folder();
  Process first(launched(1, "3000", {"work", directory}), directory / "first");
  ASSERT_TRUE(eventually([&] { return fs::exists(directory / "rank-0.pid"); })) << first.output();
  Process second(launched(1, "3000", {"collectives"}), directory / "second");
  unsetenv("MASTER_PORT");
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.output(), HasSubstr("cannot listen on port 29872"));
}

}  // namespace
}  // namespace polyphony::dist
