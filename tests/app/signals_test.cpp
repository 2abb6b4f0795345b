// Every signal that asks for a stop, at every moment of a run of the program: to one of its
// processes, to all of them, to the one that started them; once, and more than once.
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <polyphony/base/files.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/record/store.h>

#include "app/program.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using namespace std::chrono_literals;

enum class Target { kLauncher, kGroup, kOneRank };
enum class Times { kOnce, kTwice, kUntilItEnds };

struct Case {
  const char* moment;
  int devices;
  int signal;
  Target target;
  Times times;
};

std::string name_of(const Case& c) {
  static const std::map<Target, const char*> targets = {
      {Target::kLauncher, "Launcher"}, {Target::kGroup, "Group"}, {Target::kOneRank, "OneRank"}};
  static const std::map<Times, const char*> times = {
      {Times::kOnce, "Once"}, {Times::kTwice, "Twice"}, {Times::kUntilItEnds, "UntilItEnds"}};
  return fmt::format("{}{}{}{}{}", c.moment, c.devices, sigabbrev_np(c.signal),
                     targets.at(c.target), times.at(c.times));
}

template <class Fact>
bool eventually(Fact fact, std::chrono::seconds bound = 120s) {
  const auto end = std::chrono::steady_clock::now() + bound;
  while (!fact()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

bool has_ended(pid_t pid) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid;
}

/// A small run in a folder of its own.
class Signals : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name.begin(), name.end(), '/', '-');
    prepare(scratch_directory() / ("signals-" + name));
  }

  void prepare(const fs::path& folder) {
    folder_ = folder;
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    manifest_ = write_tones(folder_);
  }

  /// `polyphony VERB` whose run directory is `name`, in a process group of its own.
  Program program(const std::string& name, int devices,
                  const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = small_run("train", manifest_);
    words.insert(words.end(),
                 {"hydra.run.dir=" + name, "loading.batch_size=5", "+loading.eval_batch_size=1",
                  "trainer.log_every_n_steps=1", fmt::format("trainer.devices={}", devices)});
    words.insert(words.end(), more.begin(), more.end());
    Program made = polyphony_in(folder_, std::move(words));
    made.command.insert(made.command.begin(), "setsid");
    made.output = (folder_ / name).string();
    return made;
  }

  /// The same, to stand still at a moment.
  Program held(const std::string& name, int devices, const std::string& moment,
               std::vector<std::string> more = {}) const {
    fs::create_directories(moments());
    more.insert(more.end(), {"+callbacks.moment._target_=polyphony.tests.Moment",
                             "+callbacks.moment.hook=" + moment,
                             "+callbacks.moment.directory=" + moments().string()});
    Program made = program(name, devices, more);
    // By env, for the program alone: setsid does not load it.
    const std::string preload = std::string("LD_PRELOAD=") + POLYPHONY_MOMENTS;
    made.command.insert(made.command.begin() + 1, {"env", preload});
    return made;
  }

  fs::path moments() const { return folder_ / "moments"; }
  void go() const { write_file(moments() / "go", ""); }
  /// Process of each rank that stands still. Empty where they never came.
  std::vector<pid_t> reached(int devices, pid_t started) const {
    std::vector<pid_t> ranks;
    for (int rank = 0; rank < devices; ++rank) {
      const fs::path file = moments() / fmt::format("reached-{}", rank);
      if (!eventually([&] { return fs::exists(file) || has_ended(started); })) return {};
      if (!fs::exists(file)) return {};
      ranks.push_back(std::stoi(read_file(file)));
    }
    return ranks;
  }
  bool heard(int rank, int signal) const {
    const fs::path file = moments() / fmt::format("heard-{}-{}", rank, signal);
    return eventually([&] { return fs::exists(file); });
  }

  /// Signals the run as the case says, and lets it go on.
  void signal_run(const Case& c, pid_t started, const std::vector<pid_t>& ranks) const {
    const pid_t to = c.target == Target::kGroup      ? -started
                     : c.target == Target::kLauncher ? started
                                                     : ranks.back();
    kill(to, c.signal);
    if (c.times == Times::kTwice) kill(to, c.signal);
    for (int rank = 0; rank < c.devices; ++rank) {
      if (c.target == Target::kOneRank && rank + 1 < c.devices) continue;
      EXPECT_TRUE(heard(rank, c.signal)) << rank;
    }
    if (c.times == Times::kUntilItEnds) {
      // It stands still, so that only a second request ends it.
      EXPECT_TRUE(eventually([&] {
        kill(to, c.signal);
        return has_ended(started);
      }));
    }
    go();
  }

  auto last_run() const {
    const auto runs =
        record::Store(folder_ / "logs/polyphony.db", record::StoreMode::kExisting).runs();
    return *std::max_element(runs.begin(), runs.end(),
                             [](const auto& a, const auto& b) { return a.id < b.id; });
  }

  /// The whole of it: stopped at the moment, it saves and says how to go on, and what goes on ends
  /// as what was never stopped.
  void run_case(const Case& c) {
    SCOPED_TRACE(name_of(c));
    const Program stopped = held("stopped", c.devices, c.moment);
    const pid_t pid = stopped.start();
    const std::vector<pid_t> ranks = reached(c.devices, pid);
    if (ranks.empty()) go();
    ASSERT_FALSE(ranks.empty()) << stopped.finish(pid).err;
    signal_run(c, pid, ranks);
    const Finished ended = stopped.finish(pid);
    ASSERT_EQ(ended.exit_code, 128 + c.signal) << ended.err;
    if (c.times == Times::kUntilItEnds) return expect_whole_files();
    EXPECT_THAT(ended.err, HasSubstr("; everything is saved"));
    EXPECT_EQ(last_run().state, record::State::kInterrupted);
    if (std::string(c.moment) == "test" || std::string(c.moment) == "predict") {
      EXPECT_THAT(ended.err, HasSubstr("training is complete"));
      return expect_testable(ended.err);
    }
    const fs::path checkpoint = folder_ / "stopped/checkpoints/interrupted.ckpt";
    EXPECT_THAT(ended.err, HasSubstr("polyphony resume " + (folder_ / "stopped").string()));
    ASSERT_TRUE(fs::exists(checkpoint));
    const Finished straight = program("straight", c.devices, {"+test_after_train=false"}).run();
    ASSERT_EQ(straight.exit_code, 0) << straight.err;
    const Finished resumed =
        program("resumed", c.devices,
                {"+test_after_train=false", "ckpt_path=" + checkpoint.string()})
            .run();
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(read_file(folder_ / "resumed/metrics.csv"),
              read_file(folder_ / "straight/metrics.csv"));
  }

  /// Nothing half written bears a checkpoint's name.
  void expect_whole_files() const {
    std::error_code none;
    for (const auto& file : fs::directory_iterator(folder_ / "stopped/checkpoints", none)) {
      if (file.path().extension() != ".ckpt") continue;
      std::vector<std::string> words = small_run("test", manifest_);
      words.insert(words.end(),
                   {"hydra.run.dir=tested", "ckpt_path='" + file.path().string() + "'"});
      const Finished tested = run_program(folder_, words);
      EXPECT_EQ(tested.exit_code, 0) << file.path() << tested.err;
    }
  }

  /// The command that the message names, given to a shell, tests the trained model.
  void expect_testable(const std::string& message) const {
    constexpr std::string_view kWith = "`polyphony test`, with ";
    const std::size_t at = message.find(kWith);
    ASSERT_NE(at, std::string::npos) << message;
    const std::string word = message.substr(at + kWith.size());
    std::string line = POLYPHONY_BINARY;
    for (const std::string& given : small_run("test", manifest_)) line += " '" + given + "'";
    Program shell = polyphony_in(folder_, {});
    shell.command = {"bash", "-c",
                     line + " hydra.run.dir=tested " + word.substr(0, word.find('\n'))};
    const Finished tested = shell.run();
    EXPECT_EQ(tested.exit_code, 0) << tested.err;
    EXPECT_THAT(tested.out, HasSubstr("test_MulticlassF1Score"));
  }

  fs::path folder_;
  fs::path manifest_;
};

class SignalsTable : public Signals, public testing::WithParamInterface<Case> {};
class SignalsTableSlow : public SignalsTable {};

TEST_P(SignalsTable, SavesAndGoesOn) { run_case(GetParam()); }
TEST_P(SignalsTableSlow, SavesAndGoesOn) { run_case(GetParam()); }

/// One of each kind.
const std::vector<Case> kSome = {
    {"validation", 2, SIGTERM, Target::kGroup, Times::kOnce},
    {"train", 2, SIGINT, Target::kOneRank, Times::kTwice},
    {"save", 2, SIGHUP, Target::kLauncher, Times::kTwice},
    {"validation", 1, SIGUSR1, Target::kLauncher, Times::kTwice},
    {"sanity", 1, SIGTERM, Target::kLauncher, Times::kOnce},
    {"test", 2, SIGTERM, Target::kGroup, Times::kOnce},
    {"save", 2, SIGTERM, Target::kLauncher, Times::kUntilItEnds},
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* moment : {"setup", "sanity", "train", "validation", "save", "test", "predict"}) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
      for (const Times times : {Times::kOnce, Times::kTwice, Times::kUntilItEnds}) {
        const bool counts = signal == SIGINT || signal == SIGTERM;
        if (times == Times::kUntilItEnds && !counts) continue;
        cases.push_back({moment, 1, signal, Target::kLauncher, times});
        for (const Target target : {Target::kLauncher, Target::kGroup, Target::kOneRank}) {
          if (times == Times::kUntilItEnds && target == Target::kOneRank) continue;
          cases.push_back({moment, 2, signal, target, times});
        }
      }
    }
  }
  return cases;
}

std::string named(const testing::TestParamInfo<Case>& info) { return name_of(info.param); }
INSTANTIATE_TEST_SUITE_P(Some, SignalsTable, testing::ValuesIn(kSome), named);
INSTANTIATE_TEST_SUITE_P(All, SignalsTableSlow, testing::ValuesIn(all_cases()), named);

/// A program on a terminal of its own, whose output somebody reads until it is closed.
class OnTerminal {
 public:
  OnTerminal(const Program& program, const fs::path& folder) {
    pid_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      for (const auto& [name, value] : program.environment) setenv(name.c_str(), value.c_str(), 1);
      fs::current_path(folder);
      std::vector<char*> words;  // without setsid: forkpty has made the session
      for (std::size_t i = 1; i < program.command.size(); ++i) {
        words.push_back(const_cast<char*>(program.command[i].c_str()));
      }
      words.push_back(nullptr);
      execvp(words[0], words.data());
      _exit(127);
    }
    reader_ = std::thread([this] {
      while (!closing_) {
        pollfd waiting{terminal_, POLLIN, 0};
        char buffer[4096];
        if (poll(&waiting, 1, 10) > 0 && read(terminal_, buffer, sizeof buffer) <= 0) return;
      }
    });
  }
  ~OnTerminal() {
    hang_up();
    if (pid_ > 0) kill(pid_, SIGKILL);
    wait();
  }
  OnTerminal(const OnTerminal&) = delete;
  OnTerminal& operator=(const OnTerminal&) = delete;

  pid_t pid() const { return pid_; }
  void type(char key) const { EXPECT_EQ(write(terminal_, &key, 1), 1); }
  void hang_up() {
    closing_ = true;
    if (reader_.joinable()) reader_.join();
    if (terminal_ >= 0) close(std::exchange(terminal_, -1));
  }
  int wait() {
    int status = 0;
    if (pid_ > 0) waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  int terminal_ = -1;
  pid_t pid_ = -1;
  std::atomic<bool> closing_{false};
  std::thread reader_;
};

TEST_F(Signals, ASecondCtrlCOnTheTerminalEndsAllAtOnce) {
  OnTerminal run(held("stopped", 2, "train"), folder_);
  ASSERT_EQ(reached(2, run.pid()).size(), 2U);
  run.type('\x03');
  // Each process has the terminal's and the launcher's, and goes on standing still.
  EXPECT_TRUE(heard(0, SIGINT));
  EXPECT_TRUE(heard(1, SIGINT));
  EXPECT_FALSE(has_ended(run.pid()));
  run.type('\x03');
  EXPECT_EQ(run.wait(), 130);
}

TEST_F(Signals, AClosedTerminalEndsARunThatHasSaved) {
  const fs::path folder = folder_;
  for (const char* console : {"true", "false"}) {
    prepare(folder / console);
    OnTerminal run(held("stopped", 2, "train", {std::string("+recording.console=") + console}),
                   folder_);
    ASSERT_EQ(reached(2, run.pid()).size(), 2U);
    run.hang_up();  // the kernel tells the program so, and all that it prints fails
    EXPECT_TRUE(heard(0, SIGHUP));
    go();
    EXPECT_EQ(run.wait(), 129);
    EXPECT_TRUE(fs::exists(folder_ / "stopped/checkpoints/interrupted.ckpt"));
    EXPECT_EQ(last_run().state, record::State::kInterrupted);
  }
}

TEST_F(Signals, AReaderThatHasGoneDoesNotEndTheRun) {
  // `head` takes one line and goes; everything that is printed later fails.
  std::string line;
  for (const std::string& word : program("run", 1, {"+recording.console=false"}).command) {
    line += "'" + word + "' ";
  }
  Program shell = polyphony_in(folder_, {});
  shell.command = {"bash", "-c", "set -o pipefail; " + line + " 2>&1 | head -n 1"};
  const Finished ended = shell.run();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_TRUE(fs::exists(folder_ / "run/predictions/test.npy"));
  EXPECT_EQ(last_run().state, record::State::kFinished);
}

TEST_F(Signals, AClosedStandardOutputIsNoFileOfTheRun) {
  std::string line;
  for (const std::string& word : program("run", 2, {"epochs=1"}).command) line += "'" + word + "' ";
  Program shell = polyphony_in(folder_, {});
  shell.command = {"bash", "-c", line + " 0<&- >&- 2>&-"};
  EXPECT_EQ(shell.run().exit_code, 0);
  EXPECT_TRUE(fs::exists(folder_ / "run/predictions/test.npy"));
  EXPECT_EQ(last_run().state, record::State::kFinished);
  EXPECT_THAT(read_file(folder_ / "run/console.log"), HasSubstr("predictions of 9 rows"));
}

TEST_F(Signals, SlurmsWarningPutsTheJobBackIntoTheQueueWhereAsked) {
  write_file(folder_ / "bin/scontrol", std::string_view("#!/bin/sh\necho \"$@\" > " +
                                                        (folder_ / "requeued").string() + "\n"));
  fs::permissions(folder_ / "bin/scontrol", fs::perms::owner_all);
  for (const bool asked : {false, true}) {
    fs::remove_all(moments());
    const std::string name = asked ? "asked" : "unasked";
    Program stopped = held(name, 2, "train");
    stopped.environment["PATH"] = (folder_ / "bin").string() + ":" + std::getenv("PATH");
    stopped.environment["SLURM_JOB_ID"] = "4711";
    if (asked) stopped.environment["POLYPHONY_REQUEUE"] = "1";
    const pid_t pid = stopped.start();
    ASSERT_EQ(reached(2, pid).size(), 2U) << stopped.finish(pid).err;
    kill(-pid, SIGUSR1);
    EXPECT_TRUE(heard(0, SIGUSR1));
    go();
    const Finished ended = stopped.finish(pid);
    EXPECT_EQ(ended.exit_code, 138) << ended.err;
    // The signal went to the whole group, and what carries the console's output has outlived it.
    EXPECT_THAT(ended.err, HasSubstr("everything is saved"));
    EXPECT_THAT(read_file(folder_ / name / "console.log"), HasSubstr("run "));
    EXPECT_TRUE(fs::exists(folder_ / name / "checkpoints/interrupted.ckpt"));
    ASSERT_EQ(fs::exists(folder_ / "requeued"), asked);
  }
  EXPECT_EQ(read_file(folder_ / "requeued"), "requeue 4711\n");
}

TEST_F(Signals, InTheLastValidationOfAllAreNotLost) {
  const Program stopped = held("stopped", 1, "validation", {"epochs=1"});
  const pid_t pid = stopped.start();
  ASSERT_EQ(reached(1, pid).size(), 1U) << stopped.finish(pid).err;
  kill(pid, SIGTERM);
  EXPECT_TRUE(heard(0, SIGTERM));
  go();
  const Finished ended = stopped.finish(pid);
  ASSERT_EQ(ended.exit_code, 143) << ended.err;
  const fs::path checkpoint = folder_ / "stopped/checkpoints/interrupted.ckpt";
  const std::vector<std::string> one = {"epochs=1", "+test_after_train=false"};
  const Finished resumed =
      program("resumed", 1, {one[0], one[1], "ckpt_path=" + checkpoint.string()}).run();
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  ASSERT_EQ(program("straight", 1, one).run().exit_code, 0);
  EXPECT_EQ(read_file(folder_ / "resumed/metrics.csv"),
            read_file(folder_ / "straight/metrics.csv"));
}

TEST_F(Signals, OfSeveralToSeveralProcessesTheStrongestCounts) {
  Program stopped = held("stopped", 2, "train");
  const pid_t pid = stopped.start();
  const std::vector<pid_t> ranks = reached(2, pid);
  ASSERT_EQ(ranks.size(), 2U) << stopped.finish(pid).err;
  kill(ranks[0], SIGUSR1);
  kill(ranks[1], SIGINT);
  EXPECT_TRUE(heard(0, SIGUSR1));
  EXPECT_TRUE(heard(1, SIGINT));
  go();
  const Finished ended = stopped.finish(pid);
  EXPECT_EQ(ended.exit_code, 130) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("stopped by Ctrl-C; everything is saved"));
}

TEST_F(Signals, WhatAKilledRunLeftIsClearedAwayWhenItIsGoneOnWith) {
  const fs::path checkpoints = folder_ / "first/checkpoints";
  const Finished first = program("first", 1).run();
  ASSERT_EQ(first.exit_code, 0) << first.err;
  // As a process that is gone would have named it, and one that lives.
  const std::string mine = temporary_beside(checkpoints / "last.ckpt", "abcdef");
  std::string dead = mine;
  const std::string place = "-" + std::to_string(getpid()) + "-";
  dead.replace(dead.rfind(place), place.size(), "-4194305-");  // above the kernel's largest
  for (const std::string& name : {mine, dead}) std::ofstream(name) << "half";
  const Finished second =
      program("second", 1, {"epochs=3", "ckpt_path=" + (checkpoints / "last.ckpt").string()}).run();
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(mine));
}

TEST_F(Signals, OfASweepStopTheRunningJobAndAreNotMissed) {
  Program stopped = held("unused", 1, "train");
  std::erase_if(stopped.command, [](const std::string& word) {
    return word.starts_with("hydra.run.dir=") || word.starts_with("seed=");
  });
  stopped.command.insert(stopped.command.end(), {"-m", "seed=1,2", "hydra.sweep.dir=sweep"});
  const pid_t pid = stopped.start();
  ASSERT_EQ(reached(1, pid).size(), 1U) << stopped.finish(pid).err;
  kill(pid, SIGTERM);
  EXPECT_TRUE(heard(0, SIGTERM));
  go();
  const Finished ended = stopped.finish(pid);
  EXPECT_EQ(ended.exit_code, 143) << ended.err;
  EXPECT_TRUE(fs::exists(folder_ / "sweep/0/checkpoints/interrupted.ckpt"));
  EXPECT_THAT(ended.err, HasSubstr("1 not run"));
}

}  // namespace
}  // namespace polyphony
