#include <polyphony/record/recorder.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/record/artifact.h>
#include <polyphony/record/formats/csv_log.h>
#include <polyphony/record/import.h>
#include <polyphony/record/store_log.h>

#include "notices.h"
#include "scratch_folder.h"

namespace polyphony::record {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// What a sink was given.
struct Seen {
  std::mutex mutex;
  std::vector<std::int64_t> steps;
  std::vector<std::string> events;
  std::vector<std::thread::id> threads;
};

class MemorySink : public Sink {
 public:
  explicit MemorySink(Seen& seen) : seen_(seen) {}
  std::string name() const override { return "memory"; }
  void log(const Row& row) override {
    const std::lock_guard lock(seen_.mutex);
    seen_.steps.push_back(row.step);
    seen_.threads.push_back(std::this_thread::get_id());
  }
  void log_alert(const Alert& alert) override { add("alert " + alert.title); }
  void finish(State state, const std::string& error) override {
    add(std::string("finish ") + to_string(state) + error);
  }

 private:
  void add(const std::string& event) {
    const std::lock_guard lock(seen_.mutex);
    seen_.events.push_back(event);
  }
  Seen& seen_;
};

/// A disk that stands still until it is let go.
class StalledSink : public MemorySink {
 public:
  StalledSink(Seen& seen, std::atomic<bool>& stalled) : MemorySink(seen), stalled_(stalled) {}
  void log(const Row& row) override {
    stalled_.wait(true);
    MemorySink::log(row);
  }

 private:
  std::atomic<bool>& stalled_;
};

/// A disk that is full until it is freed.
class FullSink : public MemorySink {
 public:
  FullSink(Seen& seen, std::atomic<bool>& full) : MemorySink(seen), full_(full) {}
  std::string name() const override { return "FullLogger"; }
  void log_alert(const Alert& alert) override {
    check();
    MemorySink::log_alert(alert);
  }
  void flush() override { check(); }
  void finish(State state, const std::string& error) override {
    check();
    MemorySink::finish(state, error);
  }

 private:
  void check() const {
    if (full_) throw IoError("/disk/metrics.csv: no space left on device");
  }
  std::atomic<bool>& full_;
};

template <class... S>
std::vector<std::unique_ptr<Sink>> sinks(std::unique_ptr<S>... each) {
  std::vector<std::unique_ptr<Sink>> all;
  (all.push_back(std::move(each)), ...);
  return all;
}

TEST(Recorder, KeepsTheOrderAndWritesOnAnotherThread) {
  Seen seen;
  Recorder recorder(sinks(std::make_unique<MemorySink>(seen)));
  for (std::int64_t step = 0; step < 1000; ++step) recorder.log({step, 0, 1, {{"loss", 1.0}}});
  recorder.post([](Sink& sink) { sink.log_alert({"done", "", "INFO", 0}); });
  ASSERT_TRUE(recorder.flush(60));
  EXPECT_EQ(seen.steps.size(), 1000U);
  EXPECT_EQ(seen.steps.back(), 999);
  EXPECT_NE(seen.threads.front(), std::this_thread::get_id());
  EXPECT_TRUE(recorder.finish(State::kFailed, ": no data"));
  EXPECT_THAT(seen.events, ElementsAre("alert done", "finish failed: no data"));
}

TEST(Recorder, FinishesAsInterruptedWhereNobodyDid) {
  Seen seen;
  { const Recorder recorder(sinks(std::make_unique<MemorySink>(seen))); }
  EXPECT_THAT(seen.events, ElementsAre("finish interrupted"));
}

/// Logs ten rows and an alert to a full disk, and to another that is not.
struct FullDisk {
  Seen seen, other;
  std::atomic<bool> full = true;
  Notices notices;
  std::optional<Recorder> recorder;

  FullDisk() {
    RecorderOptions options;
    options.flush_seconds = 0.001;
    options.retry_seconds = 0.001;
    recorder.emplace(
        sinks(std::make_unique<FullSink>(seen, full), std::make_unique<MemorySink>(other)),
        options);
    for (std::int64_t step = 0; step < 10; ++step) {
      recorder->log({step, 0, 1, {{"loss", 1.0}}});
      if (step == 5) recorder->post([](Sink& sink) { sink.log_alert({"six", "", "INFO", 0}); });
      EXPECT_TRUE(recorder->flush(60));
    }
  }
};

TEST(Recorder, ASinkThatFailsGetsEverythingOnceItCanBeWritten) {
  FullDisk disk;
  EXPECT_EQ(disk.other.steps.size(), 10U);  // the others never wait
  disk.full = false;
  disk.recorder->log({10, 0, 1, {{"loss", 1.0}}});
  disk.recorder->finish(State::kFinished, "");
  EXPECT_THAT(disk.seen.steps, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_THAT(disk.seen.events, ElementsAre("alert six", "finish finished"));
  const auto warnings = disk.notices.warnings();
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_THAT(warnings[0], testing::AllOf(HasSubstr("FullLogger cannot be written"),
                                          HasSubstr("no space left on device")));
  EXPECT_THAT(warnings[1], HasSubstr("FullLogger is written again"));
}

TEST(Recorder, TellsWhatASinkLacksThatFailsToTheEnd) {
  FullDisk disk;
  disk.recorder->finish(State::kFinished, "");
  EXPECT_EQ(disk.other.steps.size(), 10U);
  const auto warnings = disk.notices.warnings();
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_THAT(warnings[1], testing::AllOf(HasSubstr("FullLogger lacks the end of this run"),
                                          HasSubstr("no space left on device")));
}

TEST(Recorder, IsBoundedWhereTheDiskStandsStill) {
  Seen seen;
  std::atomic<bool> stalled = true;
  const Notices notices;
  RecorderOptions options;
  options.most_values = 1000;
  Recorder recorder(sinks(std::make_unique<StalledSink>(seen, stalled)), options);
  constexpr std::int64_t kSteps = 20'000;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    recorder.log({step, 0, 1, {{"loss", 1.0}}});
    if (step % 2000 == 0) recorder.log({step, 0, 1, {{"val_loss", 1.0}}});
  }
  EXPECT_FALSE(recorder.flush(0.01));
  EXPECT_GT(recorder.left_out(), kSteps - 2100);
  stalled = false;
  stalled.notify_all();
  ASSERT_TRUE(recorder.finish(State::kFinished, ""));
  // What waited when the disk stood still is in: the bound, and what the thread had taken before.
  EXPECT_LE(seen.steps.size(), 2100U);
  EXPECT_EQ(seen.steps.back(), kSteps - 1);  // the newest is never left out
  std::int64_t validations = 0;
  for (std::size_t i = 1; i < seen.steps.size(); ++i) {
    if (seen.steps[i] == seen.steps[i - 1]) ++validations;
    EXPECT_GE(seen.steps[i], seen.steps[i - 1]);
  }
  EXPECT_EQ(seen.steps.size() + static_cast<std::size_t>(recorder.left_out()),
            static_cast<std::size_t>(kSteps) + 10);
  const auto warnings = notices.warnings();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("values were left out"));
}

TEST(Recorder, LeavesADiskThatNeverAnswers) {
  static Seen seen;  // the thread outlives the test
  static std::atomic<bool> stalled = true;
  const Notices notices;
  {
    Recorder recorder(sinks(std::make_unique<StalledSink>(seen, stalled)));
    recorder.log({1, 0, 1, {{"loss", 1.0}}});
    EXPECT_FALSE(recorder.finish(State::kFinished, "", 0.05));
  }
  stalled = false;
  stalled.notify_all();
}

TEST(Recorder, AsksItsSourcesALastTime) {
  Seen seen;
  Recorder recorder(sinks(std::make_unique<MemorySink>(seen)));
  recorder.add_source([] {
    return std::optional<Action>([](Sink& sink) { sink.log_alert({"asked", "", "INFO", 0}); });
  });
  recorder.prepare([]() -> std::optional<Action> { throw IoError("no such file"); });
  recorder.finish(State::kFinished, "");
  EXPECT_EQ(seen.events.back(), "finish finished");
  EXPECT_EQ(seen.events.at(seen.events.size() - 2), "alert asked");
}

TEST(Recorder, ACsvWhoseDirectoryIsGoneIsMadeAnew) {
  const Scratch scratch;
  Recorder recorder(sinks(std::make_unique<CsvLog>(scratch.path() / "a", "")));
  recorder.log({1, 0, 1, {{"loss", 1.0}}});
  ASSERT_TRUE(recorder.flush(60));
  std::filesystem::remove_all(scratch.path() / "a");
  recorder.log({2, 0, 1, {{"loss", 1.0}}});
  recorder.finish(State::kFinished, "");
  EXPECT_EQ(read_file(scratch.path() / "a/metrics.csv"), "loss,epoch,step\r\n1.0,0,2\r\n");
}

TEST(StoreLog, WritesWhatARunLogs) {
  const Scratch scratch;
  RunInfo info;
  info.directory = scratch.path();
  std::int64_t run = 0;
  {
    auto log = std::make_unique<StoreLog>(scratch.path() / "runs.db", info);
    run = log->run().value();
    Recorder recorder(sinks(std::move(log)));
    recorder.log({3, 1, 5, {{"loss", 0.5}, {"acc", 1.0}}});
    write_file(scratch.path() / "x.ckpt", "abc");
    recorder.prepare(file_artifact("checkpoint", scratch.path() / "x.ckpt"));
    recorder.prepare(file_artifact("checkpoint", scratch.path() / "gone.ckpt"));
    recorder.prepare(figure_artifact("roc", "test/roc", scratch.path() / "figures", "{\"a\":1}"));
    recorder.finish(State::kFinished, "");
  }
  const Store store(scratch.path() / "runs.db", StoreMode::kExisting);
  EXPECT_EQ(store.find(run)->state, State::kFinished);
  const auto metrics = store.metrics(run);
  ASSERT_EQ(metrics.size(), 2U);
  EXPECT_EQ(metrics[1].name, "acc");
  EXPECT_EQ(metrics[1].step, 3);
  const auto artifacts = store.artifacts(run);
  ASSERT_EQ(artifacts.size(), 2U);
  EXPECT_EQ(artifacts[0].sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(artifacts[0].bytes, 3);
  EXPECT_EQ(artifacts[1].data, "{\"a\":1}");
  EXPECT_EQ(read_file(scratch.path() / "figures/test/roc.json"), "{\"a\":1}");
}

}  // namespace
}  // namespace polyphony::record
