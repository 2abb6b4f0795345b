#include <polyphony/record/import_runs.h>

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include "scratch.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::SizeIs;

class ImportRuns : public testing::Test {
 protected:
  ImportRuns() : folder_(fresh()), store_(folder_ / "runs.db") {}
  static fs::path fresh() {
    const fs::path folder = scratch_directory() / "import";
    fs::remove_all(folder);
    fs::create_directories(folder);
    return folder;
  }
  fs::path write_csv(const std::string& name) const {
    write_file(folder_ / name / "metrics.csv", "epoch,step,loss\n0,1,0.5\n0,2,\n1,3,0.25\n");
    write_file(folder_ / name / "hparams.yaml", "lr: 0.1\n");
    return folder_ / name / "metrics.csv";
  }

  fs::path folder_;
  Store store_;
};

TEST_F(ImportRuns, ATableBecomesAFinishedRun) {
  const auto found = find_records(write_csv("logs/version_0"));
  ASSERT_THAT(found, SizeIs(1));
  const std::int64_t id = store_imported(store_, read_record(found.front()));
  const record::Run run = store_.find(id).value();
  EXPECT_EQ(run.state, State::kFinished);
  EXPECT_EQ(run.name, "version_0");
  EXPECT_EQ(run.source, "csv");
  const auto values = store_.metrics(id, "loss");
  ASSERT_THAT(values, SizeIs(2));
  EXPECT_EQ(values[1].step, 3);
  EXPECT_EQ(values[1].value, 0.25);
  ASSERT_THAT(store_.config_values(id), SizeIs(1));
  EXPECT_EQ(store_.config_values(id)[0].key, "lr");
}

TEST_F(ImportRuns, AFolderGivesEveryRecordBelowItOnce) {
  write_csv("logs/version_0");
  write_csv("logs/version_1");
  write_file(folder_ / "logs/version_1/events.out.tfevents.1.host", "");
  write_file(folder_ / "logs/other.csv", "a,b\n1,2\n");
  const auto found = find_records(folder_ / "logs");
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].kind, RecordKind::kCsv);
  EXPECT_EQ(found[1].kind, RecordKind::kTensorBoard);
  EXPECT_EQ(found[1].path, folder_ / "logs/version_1");
  EXPECT_THAT(find_records(folder_ / "logs", RecordKind::kCsv), SizeIs(2));
}

TEST_F(ImportRuns, WhatWasImportedIsKnownAgain) {
  const auto record = find_records(write_csv("logs/version_0")).front();
  EXPECT_EQ(imported_before(store_, read_record(record)), std::nullopt);
  const std::int64_t id = store_imported(store_, read_record(record));
  EXPECT_EQ(imported_before(store_, read_record(record)), id);
}

TEST_F(ImportRuns, APlaceWithoutRecordsIsRefused) {
  EXPECT_THROW(find_records(folder_ / "nowhere"), IoError);
  try {
    find_records(folder_);
    FAIL() << "accepted";
  } catch (const DataError& error) {
    EXPECT_THAT(error.remedy(), HasSubstr("tfevents"));
  }
}

TEST_F(ImportRuns, ARunThatNeverSaidItsEndIsInterrupted) {
  ImportedRun run;
  run.info.name = "cut";
  run.info.source = "wandb";
  run.state = State::kRunning;
  run.truncated = true;
  run.started = 100;
  run.metrics = {{"loss", 1, 0, 110, 1.0}, {"loss", 2, 0, 130, 2.0}};
  const record::Run stored = store_.find(store_imported(store_, run)).value();
  EXPECT_EQ(stored.state, State::kInterrupted);
  EXPECT_THAT(stored.exit_reason, HasSubstr("breaks off"));
  EXPECT_EQ(stored.started, 100);
  EXPECT_EQ(stored.ended, 130);
}

}  // namespace
}  // namespace polyphony::record
