// Files that one process after another appends to: what a killed one left torn, and a disk that was
// full, never cost more than the rows that were torn.
#include <polyphony/record/formats/append_table.h>

#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/last_line.h>
#include <polyphony/record/formats/csv_log.h>
#include <polyphony/record/formats/mlflow_log.h>
#include <polyphony/record/formats/tensorboard_log.h>
#include <polyphony/record/formats/wandb_log.h>
#include <polyphony/record/import.h>
#include <polyphony/record/store_log.h>

#include "conditions.h"
#include "scratch_folder.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Row row(std::int64_t step, const std::string& name = "loss") {
  return {step, 0, 1000, {{name, 0.5}}};
}

class TornTable : public testing::TestWithParam<std::string> {};

TEST_P(TornTable, IsGoneOnWithOnALineOfItsOwn) {
  const Scratch scratch;
  write_file(scratch.path() / "metrics.csv", "epoch,step,loss\n0,1,0.25\n" + GetParam());
  RunCsvLog log(scratch.path(), "u");
  log.log(row(2));
  log.flush();
  EXPECT_EQ(read_file(scratch.path() / "metrics.csv"), "epoch,step,loss\n0,1,0.25\n0,2,0.5\n");
  log.log(row(3, "val_loss"));  // a new column: written anew
  log.flush();
  EXPECT_EQ(read_file(scratch.path() / "metrics.csv"),
            "epoch,step,loss,val_loss\n0,1,0.25,\n0,2,0.5,\n0,3,,0.5\n");
}

INSTANTIATE_TEST_SUITE_P(Ends, TornTable,
                         testing::Values("", "0,2", "0,2,0.12", "0,2,0.\"",
                                         std::string("0,2,\0\0\0\0", 8), std::string("\0\0", 2)));

TEST(TornTableHeader, IsWrittenAgain) {
  for (const std::string& begin :
       {std::string(), std::string("epoch,st"), std::string("\0\0", 2)}) {
    const Scratch scratch;
    write_file(scratch.path() / "metrics.csv", begin);
    RunCsvLog log(scratch.path(), "u");
    log.log(row(2));
    log.flush();
    EXPECT_EQ(read_file(scratch.path() / "metrics.csv"), "epoch,step,loss\n0,2,0.5\n");
  }
}

TEST(TornTableHeader, OfLightningsTableIsWrittenAgain) {
  const Scratch scratch;
  write_file(scratch.path() / "metrics.csv", "loss,epoch,step\r\n0.5,0,1\r\n0.5,0,");
  CsvLog log(scratch.path(), "");
  log.log(row(2));
  log.flush();
  EXPECT_EQ(read_file(scratch.path() / "metrics.csv"), "loss,epoch,step\r\n0.5,0,1\r\n0.5,0,2\r\n");
}

TEST(RunCsvLog, OfASecondRunInTheSameDirectoryHasItsOwnFile) {
  const Scratch scratch;
  RunCsvLog first(scratch.path(), "one");
  {
    RunCsvLog second(scratch.path(), "two");
    EXPECT_EQ(second.path(), scratch.path() / "metrics-two.csv");
    second.log(row(7, "acc"));
    second.flush();
    first.log(row(1));
    first.flush();
  }
  EXPECT_EQ(read_file(scratch.path() / "metrics.csv"), "epoch,step,loss\n0,1,0.5\n");
  EXPECT_EQ(read_file(scratch.path() / "metrics-two.csv"), "epoch,step,acc\n0,7,0.5\n");
  EXPECT_NO_THROW(CsvLog(scratch.path() / "csv", ""));
  const CsvLog held(scratch.path() / "csv", "");
  EXPECT_THROW(CsvLog(scratch.path() / "csv", ""), IoError);
}

TEST(RunCsvLog, RefusesATableOfSomethingElse) {
  const Scratch scratch;
  write_file(scratch.path() / "metrics.csv", "path,label\nx,1\n");
  EXPECT_THROW(RunCsvLog(scratch.path(), "u"), DataError);
}

TEST(ConsoleLine, OfARunAfterAKilledOneBeginsOnItsOwn) {
  const Scratch scratch;
  const fs::path file = scratch.path() / "console.log";
  end_last_line(file);
  EXPECT_FALSE(fs::exists(file));
  write_file(file, "epoch 1\nepo");
  end_last_line(file);
  end_last_line(file);
  EXPECT_EQ(read_file(file), "epoch 1\nepo\n");
}

/// Every format with a file that grows. Its reader must see each row once, in order.
struct Format {
  std::string name;
  std::unique_ptr<Sink> (*open)(const fs::path& folder);
  std::vector<Metric> (*read)(const fs::path& folder);
};

std::vector<Metric> losses(std::vector<Metric> metrics) {
  std::erase_if(metrics, [](const Metric& metric) { return metric.name != "loss"; });
  return metrics;
}

std::vector<Metric> read_mlflow(const fs::path& folder) {
  std::vector<Metric> metrics;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().filename() != "loss") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      Metric metric;
      long long time = 0, step = 0;
      if (std::sscanf(line.c_str(), "%lld %lf %lld", &time, &metric.value, &step) != 3) {
        ADD_FAILURE() << "torn: " << line;
      }
      metric.name = "loss";
      metric.step = step;
      metrics.push_back(metric);
    }
  }
  return metrics;
}

const std::vector<Format>& formats() {
  static const std::vector<Format> kFormats = {
      {"metrics.csv",
       [](const fs::path& folder) -> std::unique_ptr<Sink> {
         return std::make_unique<RunCsvLog>(folder, "u");
       },
       [](const fs::path& folder) { return read_csv_log(folder / "metrics.csv").metrics; }},
      {"csv",
       [](const fs::path& folder) -> std::unique_ptr<Sink> {
         return std::make_unique<CsvLog>(folder, "");
       },
       [](const fs::path& folder) { return read_csv_log(folder / "metrics.csv").metrics; }},
      {"tensorboard",
       [](const fs::path& folder) -> std::unique_ptr<Sink> {
         return std::make_unique<TensorBoardLog>(TensorBoardOptions{folder, "", true}, RunInfo{});
       },
       [](const fs::path& folder) { return read_tensorboard(folder).metrics; }},
      {"wandb",
       [](const fs::path& folder) -> std::unique_ptr<Sink> {
         WandbOptions options;
         options.save_dir = folder;
         options.id = "full";
         return std::make_unique<WandbLog>(options, RunInfo{});
       },
       [](const fs::path& folder) { return read_wandb(*find_wandb_run(folder, "full")).metrics; }},
      {"mlflow",
       [](const fs::path& folder) -> std::unique_ptr<Sink> {
         MlflowOptions options;
         options.directory = folder;
         return std::make_unique<MlflowLog>(options, RunInfo{});
       },
       read_mlflow}};
  return kFormats;
}

TEST(FullDisk, CostsNoFormatARowAndLeavesItReadable) {
  for (const Format& format : formats()) {
    SCOPED_TRACE(format.name);
    const Scratch scratch;
    const auto sink = format.open(scratch.path());
    std::int64_t step = 0;
    const auto log = [&](int rows) {
      for (int i = 0; i < rows; ++i) sink->log(row(step++));
      sink->flush();
    };
    log(300);
    // Room for a part of the next rows: what is written of them is taken back.
    for (const rlim_t bytes : {rlim_t{7000}, rlim_t{9001}, rlim_t{40000}}) {
      {
        const FullFiles full(bytes);
        try {
          log(1000);
        } catch (const IoError& error) {
          EXPECT_THAT(error.what(), HasSubstr(scratch.path().string()));
        }
        try {
          sink->finish(State::kFinished, "");
        } catch (const IoError&) {
          EXPECT_EQ(losses(format.read(scratch.path())).size() % 100, 0U);  // whole flushes
        }
      }
      sink->flush();
    }
    sink->finish(State::kFinished, "");
    const auto read = losses(format.read(scratch.path()));
    ASSERT_EQ(read.size(), static_cast<std::size_t>(step));
    for (std::int64_t i = 0; i < step; ++i) {
      ASSERT_EQ(read[static_cast<std::size_t>(i)].step, i);
    }
  }
}

TEST(MlflowLog, GoesOnBehindATornLine) {
  const Scratch scratch;
  const fs::path file = scratch.path() / "loss";
  write_file(file, "1000 0.5 1\n2000 0.2");
  AppendFile out(file, AppendFile::Mode::kContinue);
  out.append("2000 0.25 2\n");
  out.flush();
  EXPECT_EQ(read_file(file), "1000 0.5 1\n2000 0.25 2\n");
}

TEST(ReadCsvLog, TakesAllWholeRowsAndSaysHowManyItLeft) {
  const Scratch scratch;
  const fs::path file = scratch.path() / "metrics.csv";
  write_file(file, "epoch,step,loss\n0,1,0.5\n0,2,0.25\n0,3,0.1");
  const ImportedRun run = read_csv_log(file);
  ASSERT_EQ(run.metrics.size(), 2U);
  EXPECT_EQ(run.left_out, "1 torn or damaged row is left out, in line 4");
  write_file(file, "epoch,st");
  EXPECT_THROW(read_csv_log(file), DataError);
  write_file(file, "epoch,step,loss\n");
  EXPECT_TRUE(read_csv_log(file).metrics.empty());
}

}  // namespace
}  // namespace polyphony::record
