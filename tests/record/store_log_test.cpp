// A run's record is whole in the store, each value once, whatever became of the store meanwhile;
// and as long as it is not, it says so and keeps what is missing.
#include <polyphony/record/store_log.h>

#include <cmath>
#include <fstream>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/record/batch_json.h>

#include "conditions.h"
#include "notices.h"
#include "scratch_folder.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class StoreLogTest : public testing::Test {
 protected:
  StoreLogTest() : store_(scratch_.path() / "logs/runs.db"), run_(scratch_.path() / "run") {
    fs::create_directories(run_);
  }

  std::unique_ptr<StoreLog> begin() {
    RunInfo info;
    info.name = "audio";
    info.directory = run_;
    info.config_yaml = "lr: 0.5\n";
    info.tags = {"a"};
    StoreLogOptions options;
    options.patience = 0.01;
    options.last_patience = 0.01;
    options.first_retry = 0;
    options.longest_retry = 0;
    return std::make_unique<StoreLog>(store_, info, options);
  }
  /// Logs and flushes the next value, and a line of the console.
  void log(StoreLog& sink) {
    ++step_;
    sink.log({step_, 1, 100.0 + static_cast<double>(step_), {{"loss", value(step_)}}});
    const ConsoleLine line{0, 5, fmt::format("line {}", step_)};
    sink.log_console({&line, 1});
    sink.flush();
  }
  static double value(std::int64_t step) {
    return step % 5 == 0 ? std::numeric_limits<double>::infinity()
                         : 0.1 * static_cast<double>(step);
  }
  /// The store holds the whole run once.
  void expect_whole(const fs::path& path, State state = State::kFinished) const {
    const Store store(path, StoreMode::kExisting);
    const auto runs = store.runs();
    ASSERT_EQ(runs.size(), 1U);
    const record::Run& run = runs[0];
    EXPECT_EQ(run.name, "audio");
    EXPECT_EQ(run.state, state);
    EXPECT_THAT(run.tags, ElementsAre("a"));
    EXPECT_EQ(store.config_values(run.id).at(0).value, "0.5");
    const auto metrics = store.metrics(run.id, "loss");
    ASSERT_EQ(metrics.size(), static_cast<std::size_t>(step_));
    for (std::int64_t i = 1; i <= step_; ++i) {
      const Metric& metric = metrics[static_cast<std::size_t>(i - 1)];
      EXPECT_EQ(metric.step, i);
      EXPECT_EQ(metric.value, value(i));
      EXPECT_EQ(metric.wall_time, 100.0 + static_cast<double>(i));
    }
    EXPECT_EQ(store.summaries(run.id).at(0).count, step_);
    EXPECT_EQ(store.console(run.id).size(), static_cast<std::size_t>(step_));
  }
  std::vector<fs::path> journals() const { return find_journals(scratch_.path()); }
  std::vector<std::string> bring_in_all_that_waits(const fs::path& store) const {
    const Notices notices;
    bring_in_waiting(store);
    EXPECT_TRUE(notices.warnings().empty());
    return notices.of(Notice::kNote);
  }

  Scratch scratch_;
  fs::path store_, run_;
  Notices notices_;
  std::int64_t step_ = 0;
};

TEST_F(StoreLogTest, WhatALockedStoreDidNotTakeIsBroughtInAsSoonAsItDoes) {
  const auto sink = begin();
  log(*sink);
  {
    const StoreHeld held(store_);
    for (int i = 0; i < 7; ++i) log(*sink);
    EXPECT_FALSE(sink->recorded());
    EXPECT_TRUE(fs::exists(sink->kept()));
    EXPECT_THAT(sink->reason(), HasSubstr("database is locked"));
    ASSERT_EQ(notices_.warnings().size(), 1U);
    EXPECT_THAT(notices_.warnings()[0],
                testing::AllOf(HasSubstr("the run goes on"), HasSubstr("locked")));
  }
  log(*sink);
  EXPECT_TRUE(sink->recorded());
  EXPECT_THAT(journals(), ElementsAre());
  log(*sink);
  sink->finish(State::kFinished, "");
  EXPECT_THAT(notices_.warnings().back(), HasSubstr("is written again: run 1"));
  expect_whole(store_);
}

TEST_F(StoreLogTest, ARunBeginsWhileTheStoreIsLocked) {
  { const Store made(store_); }
  auto held = std::make_unique<StoreHeld>(store_);
  const auto sink = begin();
  EXPECT_EQ(sink->run(), std::nullopt);
  for (int i = 0; i < 3; ++i) log(*sink);
  held.reset();
  log(*sink);
  EXPECT_EQ(sink->run(), 1);
  sink->finish(State::kFinished, "");
  expect_whole(store_);
}

TEST_F(StoreLogTest, WhatIsKeptWaitsForTheNextReaderAndComesInOnce) {
  { const Store made(store_); }
  fs::path kept;
  {
    const StoreHeld held(store_);
    const auto sink = begin();
    for (int i = 0; i < 3; ++i) log(*sink);
    EXPECT_TRUE(bring_in_all_that_waits(store_).empty());  // of a run that is alive: its own to do
    sink->finish(State::kFinished, "");
    EXPECT_FALSE(sink->recorded());
    kept = sink->kept();
  }
  fs::copy_file(kept, scratch_.path() / "copy.jsonl");
  EXPECT_THAT(
      bring_in_all_that_waits(store_),
      ElementsAre(testing::AllOf(HasSubstr("run 1 audio: 3 values"), HasSubstr("store-pending"))));
  EXPECT_FALSE(fs::exists(kept));
  EXPECT_FALSE(fs::exists(store_.string() + "-pending"));
  EXPECT_TRUE(bring_in_all_that_waits(store_).empty());
  expect_whole(store_);
  // The same again, as after a crash between the store's commit and the removal of the file.
  fs::copy_file(scratch_.path() / "copy.jsonl", kept);
  Store store(store_);
  EXPECT_EQ(bring_in(store, kept)->values, 0);
  expect_whole(store_);
}

TEST_F(StoreLogTest, ARunKilledWhileItsStoreIsAwayKeepsWhatItLogged) {
  auto sink = begin();
  log(*sink);
  {
    const StoreHeld held(store_);
    log(*sink);
    log(*sink);
    const std::string kept = read_file(sink->kept());
    sink.reset();  // neither finish nor a last word
    // A line of which half was written.
    std::ofstream(journals().at(0), std::ios::app) << kept.substr(0, kept.size() / 2);
  }
  const auto lines = bring_in_all_that_waits(store_);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr("torn or damaged lines left out"));
  expect_whole(store_, State::kRunning);
}

TEST_F(StoreLogTest, ADeletedStoreIsNotMadeAnewByItsRunAndAllIsKept) {
  auto sink = begin();
  log(*sink);
  log(*sink);
  for (const char* file : {"", "-wal", "-shm"}) fs::remove(store_.string() + file);
  log(*sink);
  log(*sink);
  EXPECT_FALSE(sink->recorded());
  EXPECT_THAT(sink->reason(), HasSubstr("no run store here"));
  sink->finish(State::kFinished, "");
  EXPECT_FALSE(sink->recorded());
  EXPECT_FALSE(fs::exists(store_));
  sink.reset();
  EXPECT_EQ(bring_in_all_that_waits(store_).size(), 1U);  // makes it
  expect_whole(store_);
}

TEST_F(StoreLogTest, AStoreThatAnotherRunMadeInPlaceOfADeletedOneGetsTheWholeRun) {
  const auto sink = begin();
  log(*sink);
  for (const char* file : {"", "-wal", "-shm"}) fs::remove(store_.string() + file);
  { const Store another(store_); }
  log(*sink);
  log(*sink);
  sink->finish(State::kFinished, "");
  EXPECT_TRUE(sink->recorded());
  expect_whole(store_);
}

TEST_F(StoreLogTest, AMovedStoreKeepsWhatItHasAndGetsTheRestWhereverItIs) {
  const fs::path moved = scratch_.path() / "elsewhere.db";
  const auto sink = begin();
  log(*sink);
  fs::rename(store_, moved);  // without its -wal and -shm
  log(*sink);
  log(*sink);
  EXPECT_FALSE(sink->recorded());
  const std::int64_t steps = std::exchange(step_, 2);
  expect_whole(moved, State::kRunning);  // all that was written to it
  step_ = steps;
  sink->finish(State::kFinished, "");
  Store store(moved);
  const auto done = bring_in(store, sink->kept());
  EXPECT_FALSE(done.has_value());  // the run is alive
}

TEST_F(StoreLogTest, AStoreThatIsMovedAwayAndBackHasTheRunOnce) {
  const fs::path moved = scratch_.path() / "elsewhere.db";
  const auto sink = begin();
  log(*sink);
  fs::rename(store_, moved);
  log(*sink);
  log(*sink);
  fs::rename(moved, store_);
  log(*sink);
  EXPECT_TRUE(sink->recorded());
  sink->finish(State::kFinished, "");
  expect_whole(store_);
}

TEST_F(StoreLogTest, AnotherStoreThanTheOneItIsOfGetsTheWholeRunToo) {
  const fs::path other = scratch_.path() / "other.db";
  fs::path kept;
  {
    const auto sink = begin();
    log(*sink);
    for (const char* file : {"", "-wal", "-shm"}) fs::remove(store_.string() + file);
    log(*sink);
    sink->finish(State::kFinished, "");
    kept = sink->kept();
  }
  Store store(other);
  EXPECT_FALSE(bring_in(store, kept)->has_gap);
  expect_whole(other);
}

TEST_F(StoreLogTest, WhatAFullDiskDidNotTakeComesInWhenItIsFreed) {
  const auto sink = begin();
  log(*sink);
  {
    const FullFiles full(16 << 10);  // the store's log is longer, the run's file is not
    for (int i = 0; i < 5; ++i) log(*sink);
    EXPECT_FALSE(sink->recorded());
    EXPECT_TRUE(fs::exists(sink->kept()));
  }
  log(*sink);
  EXPECT_TRUE(sink->recorded());
  sink->finish(State::kFinished, "");
  expect_whole(store_);
}

TEST_F(StoreLogTest, WhatNeitherDiskTakesWaitsInMemory) {
  const auto sink = begin();
  log(*sink);
  {
    const FullFiles full(0);
    EXPECT_THROW(log(*sink), IoError);
    EXPECT_THROW(sink->flush(), IoError);
  }
  sink->flush();
  log(*sink);
  sink->finish(State::kFinished, "");
  EXPECT_TRUE(sink->recorded());
  expect_whole(store_);
}

TEST_F(StoreLogTest, AJournalOnAFullDiskHoldsWholeLines) {
  const auto sink = begin();
  log(*sink);
  const StoreHeld held(store_);
  log(*sink);
  const auto size = fs::file_size(sink->kept());
  {
    const FullFiles full(size + 20);
    EXPECT_THROW(log(*sink), IoError);
    EXPECT_EQ(fs::file_size(sink->kept()), size);
  }
  log(*sink);
  std::ifstream in(sink->kept());
  for (std::string line; std::getline(in, line);) EXPECT_TRUE(parse_journal_line(line)) << line;
}

TEST_F(StoreLogTest, ASmallDiskThatFillsUpAndIsFreedLosesNothing) {
  const SmallDisk disk(store_.parent_path(), "8m");
  if (!disk.made()) GTEST_SKIP() << "no disk of one's own can be mounted here";
  const auto sink = begin();
  log(*sink);
  disk.fill();
  for (int i = 0; i < 30; ++i) log(*sink);
  EXPECT_FALSE(sink->recorded());
  EXPECT_THAT(sink->reason(), testing::AnyOf(HasSubstr("full"), HasSubstr("disk I/O error")));
  disk.free();
  log(*sink);
  sink->finish(State::kFinished, "");
  EXPECT_TRUE(sink->recorded()) << sink->reason();
  expect_whole(store_);
}

TEST_F(StoreLogTest, AStoreThatIsNoneStopsNoRunAndIsTold) {
  store_ = "/dev/null/runs.db";
  const auto sink = begin();
  ASSERT_EQ(notices_.warnings().size(), 1U);
  EXPECT_THAT(notices_.warnings()[0], HasSubstr("/dev/null"));
  log(*sink);
  sink->finish(State::kFinished, "");
  EXPECT_FALSE(sink->recorded());
  const fs::path other = scratch_.path() / "other.db";
  Store store(other);
  write_journal(store, sink->kept());
  expect_whole(other);
}

TEST(Journal, GivesBackEveryFieldOfARun) {
  RunInfo info;
  info.uid = "u";
  info.name = "n\n\"";
  info.directory = "/d";
  info.host = "h";
  info.pid = 7;
  info.git_commit = "abc";
  info.git_dirty = true;
  info.command = "c";
  info.config_yaml = "a: 1\n";
  info.overrides = {"x=1", "y=2"};
  info.seed = -3;
  info.verb = "train";
  info.group = "g";
  info.notes = "o";
  info.tags = {"t"};
  info.git_diff = "diff";
  info.git_remote = "r";
  info.environment = {{"B", "2"}, {"A", "1"}};
  info.system = {{"cpu", "x"}};
  info.source = "polyphony";
  info.hyper_parameters = {{"lr", "0.1"}};
  info.model_summary = "m";
  const auto read = parse_journal_line(run_line(info, 5.5)).value();
  EXPECT_EQ(read.started, 5.5);
  EXPECT_EQ(run_line(*read.run, read.started), run_line(info, 5.5));
  EXPECT_EQ(read.run->seed, -3);
  EXPECT_EQ(read.run->environment, info.environment);
}

TEST(Journal, GivesBackEveryFieldOfABatch) {
  StoreBatch batch;
  batch.first = 2;
  batch.last = 3;
  batch.metrics = {{"a", 1, 2, 3.5, std::nan("")}, {"b", 1, 2, 3.5, 1.0 / 3}};
  batch.system = {{"cpu", 1, -std::numeric_limits<double>::infinity()}};
  batch.console = {{0, 1, "text \xff"}};
  batch.alerts = {{"t", "x", "WARN", 4}};
  batch.artifacts = {{0, "roc", "n", "/p", "ff", 9, 8, "{}", "[1]"}};
  batch.hyper_parameters = Pairs{{"lr", "1"}};
  batch.model_summary = "m";
  batch.heartbeat = 6;
  batch.end = RunEnd{State::kFailed, "no\ndata", 7};
  const auto read = parse_journal_line(batch_line(batch)).value().batch.value();
  EXPECT_EQ(batch_line(read), batch_line(batch));
  EXPECT_EQ(read.metrics.at(1).value, 1.0 / 3);
  EXPECT_TRUE(std::isnan(read.metrics.at(0).value));
  EXPECT_EQ(read.end->state, State::kFailed);
  EXPECT_FALSE(parse_journal_line("{\"batch\": {\"first\": 1}}").has_value());
  EXPECT_FALSE(parse_journal_line("[1]").has_value());
}

}  // namespace
}  // namespace polyphony::record
