// A store that only may be read is read, and nothing is written beside it.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/record/host.h>
#include <polyphony/record/run_index.h>

#include "conditions.h"
#include "scratch_folder.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A store in a directory that somebody else may read and not write.
class ReadOnlyStore : public testing::Test {
 protected:
  ReadOnlyStore() : folder_(scratch_.path() / "logs"), path_(folder_ / "runs #1%.db") {
    fs::create_directories(folder_);
    chmod(scratch_.path().c_str(), 0755);
  }
  std::int64_t add_run(Store& store, double accuracy) const {
    RunInfo info;
    info.name = "audio";
    info.host = host_name();
    info.pid = process_id();
    const std::int64_t run = store.begin(info);
    const Metric metric{"test_acc", 1, 0, 0, accuracy};
    store.log(run, {&metric, 1});
    store.finish(run, State::kFinished);
    return run;
  }
  void protect() const {
    for (const auto& entry : fs::directory_iterator(folder_)) chmod(entry.path().c_str(), 0444);
    chmod(folder_.c_str(), 0555);
  }
  /// What happens as a user who may not write there. @return "" where all went well
  std::string as_reader(const std::function<void()>& work) const {
    const fs::path report = scratch_.path() / "report";
    write_file(report, "");
    chmod(report.c_str(), 0666);
    const pid_t child = fork();
    if (child == 0) {
      if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(3);
      std::string text;
      try {
        work();
      } catch (const std::exception& error) {
        text = error.what();
      }
      std::ofstream(report) << text;
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    chmod(folder_.c_str(), 0755);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? read_file(report) : "it did not run";
  }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename());
    return names;
  }
  /// @throws std::runtime_error unless so many runs are read, the newest with this value
  void expect_runs(std::size_t count, double newest) const {
    const RunIndex index(path_);
    if (index.runs().size() != count) throw std::runtime_error("not all runs");
    const auto& last = *index.runs().rbegin();
    if (last.second.metrics.at("test_acc").last != newest)
      throw std::runtime_error("not its value");
    if (!index.store().find(last.first)) throw std::runtime_error("not found");
  }

  Scratch scratch_;
  fs::path folder_, path_;
};

TEST_F(ReadOnlyStore, IsReadAndNothingIsWrittenBesideIt) {
  {
    Store store(path_);
    add_run(store, 0.5);
  }
  protect();
  const auto before = files();
  EXPECT_EQ(as_reader([this] { expect_runs(1, 0.5); }), "");
  EXPECT_EQ(files(), before);
}

TEST_F(ReadOnlyStore, IsReadWhileItsOwnerWritesToIt) {
  Store store(path_);
  add_run(store, 0.5);
  add_run(store, 0.75);  // in the log, not yet in the file
  protect();
  EXPECT_EQ(as_reader([this] { expect_runs(2, 0.75); }), "");
  for (const auto& entry : fs::directory_iterator(folder_)) chmod(entry.path().c_str(), 0644);
  EXPECT_NO_THROW(add_run(store, 1));
}

TEST_F(ReadOnlyStore, InADirectoryThatTakesFilesGetsNoneThatKeepItsOwnerOut) {
  {
    Store store(path_);
    add_run(store, 0.5);
  }
  chmod(path_.c_str(), 0444);
  chmod(folder_.c_str(), 0777);
  EXPECT_EQ(as_reader([this] { expect_runs(1, 0.5); }), "");
  EXPECT_EQ(files(), std::set<std::string>{path_.filename()});
}

TEST_F(ReadOnlyStore, WhatItsOwnerAddsLaterIsSeen) {
  {
    Store store(path_);
    add_run(store, 0.5);
  }
  chmod(folder_.c_str(), 0555);
  std::array<int, 2> ready{}, go{};
  ASSERT_EQ(pipe(ready.data()) + pipe(go.data()), 0);
  char byte = 0;
  std::thread owner([&] {
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    chmod(folder_.c_str(), 0755);
    {
      Store store(path_);
      add_run(store, 0.75);
    }
    chmod(folder_.c_str(), 0555);
    ASSERT_EQ(write(go[1], "x", 1), 1);
  });
  EXPECT_EQ(as_reader([&] {
              RunIndex index(path_);
              if (index.runs().size() != 1) throw std::runtime_error("not the first");
              char go_on = 0;
              if (write(ready[1], "x", 1) + read(go[0], &go_on, 1) != 2) return;
              index.refresh();
              if (index.runs().size() != 2) throw std::runtime_error("not the second");
              if (index.runs().at(2).metrics.at("test_acc").last != 0.75) {
                throw std::runtime_error("not its value");
              }
            }),
            "");
  owner.join();
}

TEST_F(ReadOnlyStore, OfAKilledRunIsReadWithTheLogThatTheRunLeft) {
  const pid_t child = fork();
  if (child == 0) {
    Store store(path_);
    add_run(store, 0.25);
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  fs::remove(path_.string() + "-shm");
  ASSERT_GT(fs::file_size(path_.string() + "-wal"), 0U);
  protect();
  const auto before = files();
  EXPECT_EQ(as_reader([this] { expect_runs(1, 0.25); }), "");
  EXPECT_EQ(files(), before);
}

TEST_F(ReadOnlyStore, OfAnEarlierVersionIsReadInACopy) {
  {
    Store store(path_);
    add_run(store, 0.5);
  }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db,
                         "DROP INDEX runs_of_uid; ALTER TABLE runs DROP COLUMN uid; "
                         "ALTER TABLE runs DROP COLUMN batches; PRAGMA user_version=2",
                         nullptr, nullptr, nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_close(db);
  protect();
  const auto before = files();
  const std::string bytes = read_file(path_);
  EXPECT_EQ(as_reader([this] { expect_runs(1, 0.5); }), "");
  EXPECT_EQ(files(), before);
  EXPECT_EQ(read_file(path_), bytes);
}

TEST_F(ReadOnlyStore, IsRefusedWhereItMustBeWritten) {
  {
    Store store(path_);
    add_run(store, 0.5);
  }
  protect();
  EXPECT_THAT(as_reader([this] { Store(path_, StoreMode::kExisting).add_tag(1, "a"); }),
              HasSubstr("cannot be written to"));
}

TEST_F(ReadOnlyStore, OnAReadOnlyDiskIsRead) {
  const SmallDisk disk(folder_, "2m");
  if (!disk.made()) GTEST_SKIP() << "no disk of one's own can be mounted here";
  {
    Store store(path_);
    add_run(store, 0.5);
  }
  ASSERT_EQ(mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_NO_THROW(expect_runs(1, 0.5));
  EXPECT_THROW(Store(path_, StoreMode::kExisting), IoError);
}

}  // namespace
}  // namespace polyphony::record
