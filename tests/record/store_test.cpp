#include <polyphony/record/store.h>

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/record/host.h>

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "store_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ / "runs.db";
  }
  void TearDown() override { fs::remove_all(folder_); }

  static RunInfo info(std::int64_t pid = process_id()) {
    RunInfo run;
    run.name = "audio";
    run.host = host_name();
    run.pid = pid;
    run.overrides = {"a=1", "b='two\nlines'"};
    run.seed = 7;
    return run;
  }
  std::string error_on_open() const {
    try {
      Store store(path_);
    } catch (const IoError& error) {
      return std::string(error.what()) + "\n" + error.remedy();
    }
    return "no error";
  }

  fs::path folder_, path_;
};

TEST_F(StoreTest, KeepsWhatARunIs) {
  Store store(path_);
  const std::int64_t id = store.begin(info());
  EXPECT_EQ(store.find(id)->state, State::kRunning);
  store.finish(id, State::kFailed, "no data");
  const record::Run run = store.find(id).value();
  EXPECT_EQ(run.state, State::kFailed);
  EXPECT_EQ(run.error, "no data");
  EXPECT_EQ(run.overrides, info().overrides);
  EXPECT_EQ(run.seed, 7);
  EXPECT_EQ(run.git_commit, std::nullopt);
  EXPECT_GE(run.duration.value(), 0);
}

TEST_F(StoreTest, KeepsNanAndInfinity) {
  Store store(path_);
  const std::int64_t id = store.begin(info());
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<Metric> logged = {{"a", 1, 0, 5, std::nan("")}, {"b", 1, 0, 5, -infinity}};
  store.log(id, logged);
  const auto read = store.metrics(id);
  ASSERT_EQ(read.size(), 2U);
  EXPECT_TRUE(std::isnan(read[0].value));
  EXPECT_EQ(read[1].value, -infinity);
}

TEST_F(StoreTest, KeepsEveryMetricOfAKilledRun) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Store store(path_);
    const std::int64_t id = store.begin(info());
    for (std::int64_t step = 0; step < 100; ++step) {
      const Metric metric{"loss", step, 0, 0, 0.5};
      store.log(id, {&metric, 1});
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const Store store(path_, StoreMode::kExisting);
  EXPECT_EQ(store.metrics(1, "loss").size(), 100U);
  EXPECT_EQ(store.final_metrics(1).at(0).step, 99);
  const record::Run run = store.find(1).value();
  EXPECT_EQ(run.state, State::kInterrupted);
  EXPECT_TRUE(run.died);
}

TEST_F(StoreTest, RefusesANewerSchema) {
  { Store store(path_); }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_THAT(error_on_open(), HasSubstr("version 99"));
}

TEST_F(StoreTest, NamesADamagedFile) {
  std::ofstream(path_) << std::string(8192, 'x');
  EXPECT_THAT(error_on_open(),
              testing::AllOf(HasSubstr(path_.string()), HasSubstr("move it aside")));
}

TEST_F(StoreTest, NamesAPlaceThatCannotBeWritten) {
  path_ = "/dev/null/runs.db";
  EXPECT_THAT(error_on_open(), HasSubstr("/dev/null"));
}

}  // namespace
}  // namespace polyphony::record
