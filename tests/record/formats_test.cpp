#include <cmath>
#include <fstream>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/record/formats/csv_log.h>
#include <polyphony/record/formats/framing.h>
#include <polyphony/record/formats/tensorboard_log.h>
#include <polyphony/record/formats/wandb_log.h>
#include <polyphony/record/import.h>
#include <polyphony/record/version_directory.h>

#include "scratch_folder.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<Row> some_rows() {
  return {{9, 0, 1000.5, {{"train_loss", 0.69314718246459961}, {"lr", 1e-05}}},
          {19, 0, 1001.5, {{"val_loss", 0.5}, {"val_acc", 1.0}}},
          {29, 1, 1002.5, {{"train_loss", kNan}}}};
}

std::string text_of(const std::vector<Metric>& metrics) {
  std::string text;
  for (const Metric& m : metrics) {
    text += fmt::format("{} {} {} {};", m.name, m.step, m.epoch, static_cast<float>(m.value));
  }
  return text;
}

TEST(WandbFraming, ReadsBackRecordsOfAnySize) {
  WandbLogWriter writer(0);
  std::string log;
  std::vector<std::string> records;
  // Sizes around the edges of a block of 32 KiB: nothing left, less than a header left, and more.
  for (const std::size_t size :
       {0, 1, 32700, 40, 32761, 32754, 3, 100000, 65522, 7, 32748, 32768}) {
    records.emplace_back(size, static_cast<char>('a' + records.size()));
    log += writer.frame(records.back());
  }
  WandbLogReader reader(log, "log");
  for (const std::string& record : records) ASSERT_EQ(reader.next(), record);
  EXPECT_EQ(reader.next(), std::nullopt);
  EXPECT_FALSE(reader.truncated());
  EXPECT_EQ(reader.offset(), log.size());
}

TEST(WandbFraming, ALogCutAnywhereKeepsItsWholeRecords) {
  WandbLogWriter writer(0);
  std::string log;
  std::vector<std::size_t> ends;
  for (const std::size_t size : {5, 40000, 20, 30000}) {
    log += writer.frame(std::string(size, 'x'));
    ends.push_back(log.size());
  }
  for (std::size_t cut = 7; cut <= log.size(); cut += cut % 1000 < 20 ? 1 : 97) {
    WandbLogReader reader(std::string_view(log).substr(0, cut), "log");
    std::size_t read = 0;
    while (reader.next()) ++read;
    std::size_t whole = 0;
    while (whole < ends.size() && ends[whole] <= cut) ++whole;
    ASSERT_EQ(read, whole) << cut;
  }
}

TEST(WandbFraming, NamesDamage) {
  WandbLogWriter writer(0);
  std::string log = writer.frame("one");
  log += writer.frame("two");
  log[log.size() - 1] ^= 1;
  WandbLogReader reader(log, "run.wandb");
  EXPECT_EQ(reader.next(), "one");
  try {
    reader.next();
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("run.wandb: damaged at byte 17"));
  }
  EXPECT_THROW(WandbLogReader("no log", "x"), DataError);
}

TEST(TfRecord, ReadsBackAndStopsWhereCut) {
  const std::string log = tfrecord_frame("one") + tfrecord_frame("");
  TfRecordReader whole(log, "x");
  EXPECT_EQ(whole.next(), "one");
  EXPECT_EQ(whole.next(), "");
  EXPECT_EQ(whole.next(), std::nullopt);
  EXPECT_FALSE(whole.truncated());
  TfRecordReader cut(std::string_view(log).substr(0, log.size() - 1), "x");
  EXPECT_EQ(cut.next(), "one");
  EXPECT_EQ(cut.next(), std::nullopt);
  EXPECT_TRUE(cut.truncated());
}

TEST(TfRecord, EndsAtTheNulsOfAPowerLossAndNamesDamageBefore) {
  const std::string log = tfrecord_frame("one") + tfrecord_frame("two");
  for (const std::size_t kept :
       {log.size() - 19, log.size() - 18, log.size() - 8, log.size() - 1}) {
    const std::string torn = log.substr(0, kept) + std::string(4096, '\0');
    TfRecordReader reader(torn, "x");
    EXPECT_EQ(reader.next(), "one");
    EXPECT_EQ(reader.next(), std::nullopt) << kept;
    EXPECT_TRUE(reader.truncated());
  }
  std::string damaged = log;
  damaged[13] = '\0';
  TfRecordReader reader(damaged, "x");
  EXPECT_THROW(reader.next(), DataError);
}

TEST(WandbFraming, EndsAtTheNulsOfAPowerLoss) {
  WandbLogWriter writer(0);
  std::string log = writer.frame("one");
  const std::size_t whole = log.size();
  log += writer.frame("two");
  for (std::size_t kept = whole; kept < log.size(); ++kept) {
    const std::string torn = log.substr(0, kept) + std::string(70000, '\0');
    WandbLogReader reader(torn, "x");
    EXPECT_EQ(reader.next(), "one");
    EXPECT_EQ(reader.next(), std::nullopt) << kept;
    EXPECT_TRUE(reader.truncated());
  }
}

TEST(WandbLog, GoesOnBehindAnEarlierRunWhoseLogIsDamaged) {
  const Scratch scratch;
  const std::filesystem::path earlier = scratch.path() / "wandb/offline-run-2020-x/run-x.wandb";
  {
    WandbOptions options;
    options.save_dir = scratch.path();
    options.id = "x";
    WandbLog log(options, {});
    for (const Row& row : some_rows()) log.log(row);
    log.flush();
    std::string bytes = read_file(*find_wandb_run(scratch.path(), "x"));
    fs::remove_all(scratch.path() / "wandb");
    bytes[bytes.size() - 20] ^= 1;  // in the last row
    write_file(earlier, bytes + bytes.substr(7));
  }
  WandbOptions options;
  options.save_dir = scratch.path();
  options.id = "x";
  options.resume = true;
  WandbLog log(options, {});
  log.log({1, 0, 5, {{"loss", 1.0}}});
  log.finish(State::kFinished, "");
  const ImportedRun run = read_wandb(log.directory());
  EXPECT_EQ(run.metrics.at(0).step, 1);
}

TEST(CsvLog, HasLightningsLayout) {
  const Scratch scratch;
  CsvLog log(scratch.path(), "");
  for (const Row& row : some_rows()) log.log(row);
  log.log_hyper_parameters(config::parse_yaml("{lr: 0.1, model: {dims: 8}}", "x"));
  log.flush();
  EXPECT_EQ(read_file(scratch.path() / "metrics.csv"),
            "train_loss,lr,epoch,step,val_loss,val_acc\r\n"
            "0.6931471824645996,1e-05,0,9,,\r\n"
            ",,0,19,0.5,1.0\r\n"
            "nan,,1,29,,\r\n");
  EXPECT_EQ(read_file(scratch.path() / "hparams.yaml"), "lr: 0.1\nmodel:\n  dims: 8\n");
}

TEST(CsvLog, AColumnThatComesLaterKeepsEarlierRows) {
  const Scratch scratch;
  CsvLog log(scratch.path(), "p");
  for (const Row& row : some_rows()) {
    log.log(row);
    log.flush();
  }
  const ImportedRun run = read_csv_log(scratch.path() / "metrics.csv");
  EXPECT_EQ(text_of(run.metrics),
            "p-train_loss 9 0 0.6931472;p-lr 9 0 1e-05;p-val_loss 19 0 0.5;p-val_acc 19 0 1;"
            "p-train_loss 29 1 nan;");
}

TEST(ReadCsvLog, RefusesATableOfSomethingElse) {
  const Scratch scratch;
  std::ofstream(scratch.path() / "a.csv") << "path,label\nx,1\n";
  EXPECT_THROW(read_csv_log(scratch.path() / "a.csv"), DataError);
}

TEST(VersionDirectory, CountsAsLightningDoes) {
  const Scratch scratch;
  fs::create_directories(scratch.path() / "logs" / "version_4");
  fs::create_directories(scratch.path() / "logs" / "version_x");
  EXPECT_EQ(version_directory(scratch.path(), "logs", {}).filename(), "version_5");
  EXPECT_EQ(version_directory(scratch.path(), "logs", {}).filename(), "version_6");
  EXPECT_EQ(version_directory(scratch.path(), "logs", "2").filename(), "version_2");
  EXPECT_EQ(version_directory(scratch.path(), "", "mine"), scratch.path() / "mine");
}

TEST(TensorBoardLog, IsReadBack) {
  const Scratch scratch;
  TensorBoardLog log({scratch.path(), "", true}, {});
  log.log_hyper_parameters(config::parse_yaml("{lr: 0.1, mask: true, model: {name: big}}", "x"));
  for (const Row& row : some_rows()) log.log(row);
  log.log_histogram("weights", {0, 1, 2, 1, 1, {0.5, 1.0}, {1, 1}}, 3);
  log.log_text("note", "*hello*", 3);
  log.log_image("matrix", {2, 1, {255, 0, 0, 0, 0, 255}}, 3);
  log.finish(State::kFinished, "");
  const ImportedRun run = read_tensorboard(scratch.path());
  EXPECT_EQ(text_of(run.metrics),
            "hp_metric 0 0 -1;train_loss 9 0 0.6931472;lr 9 0 1e-05;val_loss 19 0 0.5;"
            "val_acc 19 0 1;train_loss 29 1 nan;");
  EXPECT_EQ(run.metrics[1].wall_time, 1000.5);
  EXPECT_EQ(run.info.config_yaml, "lr: 0.1\nmask: true\nmodel/name: big\n");
  EXPECT_EQ(run.state, State::kFinished);
  EXPECT_FALSE(run.truncated);
}

TEST(ReadTensorBoard, SaysWhatIsWrong) {
  const Scratch scratch;
  EXPECT_THROW(read_tensorboard(scratch.path()), DataError);
  EXPECT_THROW(read_tensorboard(scratch.path() / "none"), IoError);
  std::ofstream(scratch.path() / "x.tfevents") << "no event file, but long enough to be one";
  EXPECT_THROW(read_tensorboard(scratch.path() / "x.tfevents"), DataError);
}

RunInfo some_run() {
  RunInfo info;
  info.name = "fusion";
  info.host = "here";
  info.git_commit = std::string(40, 'a');
  info.git_remote = "https://example.org/x.git";
  info.git_diff = "diff --git a b\n";
  info.system = {{"os", "Linux"}, {"cores", "2"}, {"version.libtorch", "1.13.1"}};
  return info;
}

WandbOptions wandb_options(const fs::path& folder, const std::string& id = "") {
  WandbOptions options;
  options.save_dir = folder;
  options.project = "emotions";
  options.display_name = "bs64";
  options.group = "seeds";
  options.notes = "a note";
  options.tags = {"a", "b"};
  options.id = id;
  return options;
}

TEST(WandbLog, IsReadBack) {
  const Scratch scratch;
  WandbLog log(wandb_options(scratch.path()), some_run());
  log.log_hyper_parameters(config::parse_yaml("{lr: 0.1, model: {dims: 8}}", "x"));
  for (const Row& row : some_rows()) log.log(row);
  const std::vector<SystemMetric> system = {{"cpu_percent", 1001, 50},
                                            {"rss_bytes", 1001, 1 << 20}};
  log.log_system(system);
  const std::vector<ConsoleLine> lines = {{0, 1001, "epoch 0"}, {0, 1002, "epoch 1"}};
  log.log_console(lines);
  log.log_alert({"Training Complete", "done", "INFO", 1003});
  log.finish(State::kFinished, "");
  const ImportedRun run = read_wandb(log.directory());
  EXPECT_EQ(text_of(run.metrics),
            "train_loss 9 0 0.6931472;lr 9 0 1e-05;val_loss 19 0 0.5;val_acc 19 0 1;"
            "train_loss 29 1 nan;");
  EXPECT_EQ(run.metrics[0].value, 0.69314718246459961);
  EXPECT_EQ(run.info.name, "bs64");
  EXPECT_EQ(run.info.group + run.info.notes, "seedsa note");
  EXPECT_THAT(run.info.tags, ElementsAre("a", "b"));
  EXPECT_EQ(run.info.git_commit, std::string(40, 'a'));
  EXPECT_EQ(run.info.config_yaml, "lr: 0.1\nmodel:\n  dims: 8\n");
  ASSERT_EQ(run.system.size(), 2U);
  EXPECT_EQ(run.system[1].name, "proc.memory.rssMB");
  EXPECT_EQ(run.system[1].value, 1);
  ASSERT_EQ(run.console.size(), 2U);
  EXPECT_EQ(run.console[1].text, "epoch 1");
  EXPECT_EQ(run.alerts.at(0).title, "Training Complete");
  EXPECT_EQ(run.state, State::kFinished);
  const fs::path files = log.directory() / "files";
  EXPECT_EQ(read_file(files / "output.log"), "epoch 0\nepoch 1\n");
  EXPECT_EQ(read_file(files / "requirements.txt"), "libtorch==1.13.1\n");
  EXPECT_EQ(read_file(files / "diff.patch"), "diff --git a b\n");
  EXPECT_THAT(read_file(files / "wandb-summary.json"), HasSubstr("\"val_acc\": 1.0"));
  EXPECT_THAT(read_file(files / "config.yaml"), HasSubstr("lr:\n  desc: null\n  value: 0.1\n"));
  EXPECT_THAT(read_file(files / "wandb-metadata.json"), HasSubstr("\"state\": \"finished\""));
}

TEST(WandbLog, AResumedRunGoesOnBehindTheLastStep) {
  const Scratch scratch;
  {
    WandbLog log(wandb_options(scratch.path(), "abc"), some_run());
    for (const Row& row : some_rows()) log.log(row);
    log.flush();  // and is killed
  }
  EXPECT_EQ(read_wandb(*find_wandb_run(scratch.path(), "abc")).state, State::kInterrupted);
  // A run of the same id in the same second would want the same directory.
  for (const auto& entry : fs::directory_iterator(scratch.path() / "wandb")) {
    fs::rename(entry.path(), scratch.path() / "wandb" / "offline-run-20200101_000000-abc");
    break;
  }
  WandbOptions options = wandb_options(scratch.path(), "abc");
  options.resume = true;
  WandbLog log(options, some_run());
  log.log(some_rows()[0]);
  log.finish(State::kFailed, "no data");
  const std::string content = read_file(*find_wandb_run(scratch.path(), "abc"));
  EXPECT_THAT(content, HasSubstr("_step"));
  const ImportedRun run = read_wandb(log.directory());
  EXPECT_EQ(run.state, State::kFailed);
  EXPECT_EQ(run.console.back().text, "no data");
}

}  // namespace
}  // namespace polyphony::record
