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
#include <polyphony/base/files.h>
#include <polyphony/record/host.h>
#include <polyphony/record/metrics_rows.h>

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

TEST_F(StoreTest, SummarisesEachMetric) {
  Store store(path_);
  const std::int64_t id = store.begin(info());
  const double nan = std::nan("");
  const std::vector<Metric> logged = {{"a", 1, 0, 5, nan},
                                      {"a", 2, 0, 6, 3},
                                      {"a", 3, 1, 7, -2},
                                      {"a", 4, 1, 8, nan},
                                      {"b", 4, 1, 8, nan}};
  store.log(id, logged);
  const auto summaries = store.summaries(id);
  ASSERT_EQ(summaries.size(), 2U);
  EXPECT_EQ(summaries[0].min, -2);
  EXPECT_EQ(summaries[0].max, 3);
  EXPECT_EQ(summaries[0].count, 4);
  EXPECT_EQ(summaries[0].last.step, 4);
  EXPECT_TRUE(std::isnan(summaries[0].last.value));
  EXPECT_TRUE(std::isnan(summaries[1].min));
}

TEST_F(StoreTest, KeepsTheLeavesOfTheConfiguration) {
  Store store(path_);
  RunInfo run = info();
  run.config_yaml = "trainer:\n  lr: 1.0e-3\nname: big\nlist: [1, true]\nnone: {}\n";
  const auto values = store.config_values(store.begin(run));
  std::string text;
  for (const ConfigValue& value : values) text += value.key + "=" + value.value + ";";
  EXPECT_EQ(text, "list.0=1;list.1=true;name=big;none={};trainer.lr=0.001;");
  EXPECT_EQ(values[4].number, 1e-3);
  EXPECT_EQ(values[1].number, std::nullopt);
}

TEST_F(StoreTest, KeepsWhatSurroundsARun) {
  Store store(path_);
  RunInfo run = info();
  run.tags = {"b", "a", "b"};
  run.environment = {{"HOME", "/root"}, {"WANDB_API_KEY", "***"}};
  run.system = {{"cpu", "abc"}};
  const std::int64_t id = store.begin(run);
  const std::vector<SystemMetric> system = {{"rss_bytes", 3, 100}, {"cpu_percent", 3, 50}};
  store.log_system(id, system);
  const std::vector<ConsoleLine> lines = {{0, 4, "one"}, {0, 5, "two"}};
  store.log_console(id, lines);
  store.log_alert(id, {"Training Complete", "done", "INFO", 6});
  store.add_artifact(id, {0, "roc", "test/roc", "", "ff", 2, 7, "{}", "{}"});
  store.add_artifact(id, {0, "roc", "test/roc", "", "ee", 2, 8, "{}", "[]"});
  store.set_hyper_parameters(id, {{"lr", "0.1"}});
  store.set_model_summary(id, "1 K parameters");
  store.add_tag(id, "c");
  store.remove_tag(id, "b");
  store.set_group(id, "seeds");
  store.set_notes(id, "a note");
  store.heartbeat(id, 9);
  const record::Run read = store.find(id).value();
  EXPECT_EQ(read.tags, (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(store.runs().at(0).tags, read.tags);
  EXPECT_EQ(read.environment, run.environment);
  EXPECT_EQ(read.system, run.system);
  EXPECT_EQ(read.hyper_parameters, (Pairs{{"lr", "0.1"}}));
  EXPECT_EQ(read.model_summary, "1 K parameters");
  EXPECT_EQ(read.group + "/" + read.notes, "seeds/a note");
  EXPECT_EQ(read.heartbeat, 9);
  EXPECT_EQ(store.system_metrics(id, "cpu_percent").at(0).value, 50);
  EXPECT_EQ(store.console(id).at(1).text, "two");
  EXPECT_EQ(store.console(id, store.console(id).at(0).id).size(), 1U);
  EXPECT_EQ(store.alerts(id).at(0).title, "Training Complete");
  ASSERT_EQ(store.artifacts(id).size(), 1U);
  EXPECT_EQ(store.artifacts(id, "roc").at(0).sha256, "ee");
  EXPECT_TRUE(store.artifacts(id, "pr").empty());
}

// A run that is resumed in its own directory: one row, and nothing of it twice.
TEST_F(StoreTest, ARunThatEndedGoesOnFromWhereItsCheckpointWas) {
  Store store(path_);
  RunInfo begun = info();
  begun.directory = "/runs/a";
  begun.config_yaml = "epochs: 1\n";
  store.begin(info());
  const std::int64_t id = store.begin(begun);
  EXPECT_EQ(store.find_by_directory("/runs/a").value().id, id);
  EXPECT_EQ(store.find_by_directory("/runs/b"), std::nullopt);
  const std::vector<Metric> logged = {
      {"loss", 1, 0, 10, 3}, {"f1", 1, 0, 10, 0.5}, {"loss", 2, 0, 11, 1}, {"late", 2, 0, 11, 1}};
  store.log(id, logged);
  store.finish(id, State::kInterrupted, "stopped");

  begun.config_yaml = "epochs: 2\n";
  begun.command = "another";
  store.rewind(id, 2);
  store.resume(id, begun);
  const record::Run run = store.find(id).value();
  EXPECT_EQ(run.state, State::kRunning);
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(run.ended, std::nullopt);
  EXPECT_EQ(run.command, info().command);
  EXPECT_EQ(run.config_yaml, "epochs: 2\n");
  EXPECT_EQ(store.config_values(id).at(0).value, "2");
  EXPECT_EQ(store.metrics(id).size(), 2U);
  const auto summaries = store.summaries(id);
  ASSERT_EQ(summaries.size(), 2U);
  EXPECT_EQ(summaries[1].last.name, "loss");
  EXPECT_EQ(summaries[1].last.value, 3);
  EXPECT_EQ(summaries[1].min, 3);
  EXPECT_EQ(summaries[1].count, 1);
  store.log(id, std::vector<Metric>{{"loss", 2, 0, 12, 2}});
  EXPECT_EQ(store.summaries(id)[1].count, 2);
}

TEST_F(StoreTest, RowsOfAMetricsTableAreKeptUpToACheckpoint) {
  const fs::path csv = folder_ / "metrics.csv";
  std::ofstream(csv) << "epoch,step,loss,f1\n0,1,3,\n0,2,,0.5\n0,3,1,1\n0,4,1";
  const std::string whole = read_file(csv);
  EXPECT_EQ(keep_metrics_rows(csv, 9), 4);  // the torn row is no row
  EXPECT_EQ(read_file(folder_ / "metrics.csv.before-resume"), whole);
  EXPECT_EQ(keep_metrics_rows(csv, 2), 2);
  EXPECT_EQ(read_file(csv), "epoch,step,loss,f1\n0,1,3,\n0,2,,0.5\n");
  EXPECT_EQ(keep_metrics_rows(csv, 0), 0);
  EXPECT_EQ(read_file(csv), "epoch,step,loss,f1\n");
  EXPECT_EQ(keep_metrics_rows(folder_ / "none.csv", 3), 0);
}

TEST_F(StoreTest, RemovesARunWithAllThatIsRecordedOfIt) {
  Store store(path_);
  RunInfo run = info();
  run.tags = {"a"};
  run.config_yaml = "a: 1";
  const std::int64_t id = store.begin(run);
  const Metric metric{"loss", 1, 0, 0, 0.5};
  store.log(id, {&metric, 1});
  store.remove(id);
  EXPECT_EQ(store.find(id), std::nullopt);
  EXPECT_TRUE(store.metrics(id).empty());
  EXPECT_TRUE(store.config_values(id).empty());
  EXPECT_THROW(store.remove(id), IoError);
  EXPECT_THROW(store.add_tag(id, "x"), IoError);
}

TEST_F(StoreTest, MigratesAStoreOfTheFirstVersion) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  // As version 0.1.0 wrote it.
  ASSERT_EQ(sqlite3_exec(db, R"sql(
CREATE TABLE runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, directory TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('running', 'finished', 'failed', 'interrupted')),
  error TEXT NOT NULL DEFAULT '', host TEXT NOT NULL, pid INTEGER NOT NULL, git_commit TEXT,
  git_dirty INTEGER NOT NULL, command TEXT NOT NULL, config_yaml TEXT NOT NULL,
  overrides TEXT NOT NULL, seed INTEGER, started REAL NOT NULL, ended REAL, duration REAL);
CREATE TABLE metrics(
  run_id INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL, step INTEGER NOT NULL,
  epoch INTEGER NOT NULL, wall_time REAL NOT NULL, value REAL);
CREATE INDEX metrics_of_run ON metrics(run_id, name);
INSERT INTO runs VALUES(7, 'old', '/x', 'failed', 'no data', 'h', 1, NULL, 0, 'c', 'lr: 0.5',
                        '[]', 3, 1, 2, 1);
INSERT INTO metrics VALUES(7, 'loss', 1, 0, 1, 0.5);
INSERT INTO metrics VALUES(7, 'loss', 2, 0, 1, 0.25);
PRAGMA user_version=1)sql",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  const Store store(path_, StoreMode::kExisting);
  const record::Run run = store.find(7).value();
  EXPECT_EQ(run.exit_reason, "no data");
  EXPECT_EQ(run.source, "polyphony");
  EXPECT_EQ(store.config_values(7).at(0).number, 0.5);
  const auto summaries = store.summaries(7);
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(summaries[0].last.value, 0.25);
  EXPECT_EQ(summaries[0].max, 0.5);
  EXPECT_EQ(summaries[0].count, 2);
}

TEST_F(StoreTest, EightProcessesLoseNothing) {
  constexpr int kProcesses = 8;
  constexpr std::int64_t kSteps = 50;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        Store store(path_);
        const std::int64_t id = store.begin(info());
        for (std::int64_t step = 0; step < kSteps; ++step) {
          const std::vector<Metric> row = {{"a", step, 0, 0, double(step)}, {"b", step, 0, 0, 1}};
          store.log(id, row);
        }
        store.finish(id, State::kFinished);
        _exit(0);
      } catch (const std::exception& error) {
        fprintf(stderr, "%s\n", error.what());
        _exit(1);
      }
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const Store store(path_, StoreMode::kExisting);
  const auto runs = store.runs();
  ASSERT_EQ(runs.size(), std::size_t{kProcesses});
  for (const record::Run& run : runs) {
    EXPECT_EQ(run.state, State::kFinished);
    const auto values = store.metrics(run.id, "a");
    ASSERT_EQ(values.size(), std::size_t{kSteps});
    for (std::int64_t step = 0; step < kSteps; ++step) EXPECT_EQ(values[step].value, step);
    EXPECT_EQ(store.metrics(run.id, "b").size(), std::size_t{kSteps});
  }
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
