// Every run is recorded, however it ends.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/csv.h>
#include <polyphony/base/npy.h>
#include <polyphony/record/import.h>
#include <polyphony/record/store.h>

#include "app/program.h"
#include "record/conditions.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path fresh(const std::string& name) {
  const fs::path folder = scratch_directory() / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Recorded, TrainingPredictsVotesAndStandsInTheStore) {
  const fs::path folder = fresh("whole");
  const fs::path manifest = write_tones(folder);
  const Finished trained = run_program(folder, small_run("train", manifest));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  for (const char* file : {".hydra/config.yaml", ".hydra/overrides.yaml", ".hydra/hydra.yaml",
                           "metrics.csv", "checkpoints/last.ckpt", "predictions/test.npy"}) {
    EXPECT_TRUE(fs::exists(folder / "run" / file)) << file;
  }
  const NpyArray logits = load_npy(folder / "run/predictions/test.npy");
  EXPECT_EQ(logits.shape, (std::vector<std::int64_t>{9, 3}));
  const CsvTable submission = read_csv(folder / "run/predictions/test.csv");
  EXPECT_EQ(submission.header.back(), "prediction");
  EXPECT_EQ(submission.rows.size(), 9U);

  std::ofstream(folder / "voting.yaml")
      << "votings: {a: 0.5, b: 0.5}\nlogits: {a: run/predictions/test.npy, b: "
         "run/predictions/test.npy}\nsubmission_file: run/predictions/test.csv\n"
         "target_column_name: label\nvoted_logit: voted.npy\nvoted_file: voted.csv\n"
         "classes: [small, big, other]\n";
  const Finished voted =
      run_program(folder, {"vote", "--config-path", folder.string(), "hydra.run.dir=vote"});
  ASSERT_EQ(voted.exit_code, 0) << voted.err;
  EXPECT_THAT(voted.out, HasSubstr("macro F1"));
  EXPECT_EQ(load_npy(folder / "voted.npy").values, logits.values);

  const Finished runs = run_program(folder, {"runs", "--format", "json"});
  const auto listed = nlohmann::json::parse(runs.out);
  ASSERT_EQ(listed.size(), 2U);
  for (const auto& run : listed) {
    EXPECT_EQ(run["state"], "finished");
    EXPECT_TRUE(run["metrics"].contains("test_MulticlassF1Score"));
  }
  EXPECT_THAT(run_program(folder, {"runs"}).out, HasSubstr("test_MulticlassF1Score"));
}

/// The only entry of a directory.
fs::path only_entry(const fs::path& folder) {
  const std::vector<fs::path> entries(fs::directory_iterator(folder), fs::directory_iterator{});
  return entries.size() == 1 ? entries[0] : fs::path();
}

TEST(Recorded, EveryLoggerHasTheRun) {
  const fs::path folder = fresh("loggers");
  const fs::path manifest = write_tones(folder);
  // One by Lightning's name, and one whose directory cannot be made, which stops nothing.
  const Finished trained = run_program(
      folder, with(small_run("train", manifest),
                   {"logger=many", "trainer.log_every_n_steps=1", "recording.tags=[a]",
                    "+logger.other={_target_: lightning.pytorch.loggers.csv_logs.CSVLogger, "
                    "save_dir: /dev/null/x}"}));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("logger.other is left out, the run goes on"));
  const record::Store store(folder / "logs/polyphony.db", record::StoreMode::kExisting);
  const auto run = store.find(1).value();
  const auto final = store.final_metrics(1);
  const auto value_in = [](const std::vector<record::Metric>& metrics, const std::string& name) {
    double value = -1;
    for (const record::Metric& metric : metrics) {
      if (metric.name == name) value = metric.value;
    }
    return value;
  };
  const double f1 = value_in(final, "val_MulticlassF1Score");
  EXPECT_GE(f1, 0);
  EXPECT_GT(value_in(final, "grad_norm"), 0);
  EXPECT_EQ(run.tags, std::vector<std::string>{"a"});
  EXPECT_EQ(run.exit_reason, "finished");
  EXPECT_THAT(run.model_summary, HasSubstr("parameters"));
  EXPECT_FALSE(run.environment.empty());
  EXPECT_FALSE(store.system_metrics(1, "samples_per_second").empty());
  EXPECT_EQ(store.alerts(1).at(0).title, "Training Complete");
  EXPECT_EQ(store.artifacts(1, "confusion_matrix").size(), 2U);
  EXPECT_EQ(store.artifacts(1, "checkpoint").at(0).sha256.size(), 64U);
  std::string console;
  for (const record::ConsoleLine& line : store.console(1)) console += line.text + "\n";
  EXPECT_THAT(console, HasSubstr("test_MulticlassF1Score"));

  const auto csv = record::read_csv_log(folder / "run/csv/version_0/metrics.csv");
  EXPECT_EQ(value_in(csv.metrics, "val_MulticlassF1Score"), f1);
  const auto events = record::read_tensorboard(folder / "logs/tensorboard/fillets-audio/version_0");
  EXPECT_FLOAT_EQ(static_cast<float>(value_in(events.metrics, "val_MulticlassF1Score")),
                  static_cast<float>(f1));
  const auto wandb = record::read_wandb(only_entry(folder / "logs/wandb"));
  EXPECT_EQ(value_in(wandb.metrics, "val_MulticlassF1Score"), f1);
  EXPECT_EQ(wandb.state, record::State::kFinished);
  EXPECT_EQ(wandb.alerts.at(0).title, "Training Complete");
  EXPECT_EQ(only_entry(folder / "logs/mlruns").empty(), false);
}

TEST(Recorded, PredictsRowsWithoutLabels) {
  const fs::path folder = fresh("unlabelled");
  const fs::path manifest = write_tones(folder);
  ASSERT_EQ(run_program(folder, small_run("train", manifest)).exit_code, 0);
  std::ofstream(folder / "new.csv") << "audio_path,split\ntest0big.wav,test\ntest1small.wav,test\n";
  const Finished ended = run_program(folder, with(small_run("predict", folder / "new.csv"),
                                                  {"ckpt_path=run", "hydra.run.dir=predict"}));
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(load_npy(folder / "predict/predictions/predictions.npy").shape.front(), 2);
}

TEST(Recorded, AKilledRunKeepsEveryMetricLoggedBefore) {
  const fs::path folder = fresh("killed");
  const fs::path manifest = write_tones(folder);
  const Program program = polyphony_in(
      folder, with(small_run("train", manifest), {"epochs=10000", "trainer.log_every_n_steps=1",
                                                  "callbacks.early_stopping=null"}));
  const pid_t pid = program.start();
  const fs::path csv = folder / "run/metrics.csv";
  for (int i = 0; i < 3000 && (!fs::exists(csv) || fs::file_size(csv) < 4000); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(pid, SIGKILL);
  EXPECT_EQ(program.finish(pid).exit_code, 128 + SIGKILL);
  const record::Store store(folder / "logs/polyphony.db", record::StoreMode::kExisting);
  const auto runs = store.runs();
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].state, record::State::kInterrupted);
  EXPECT_TRUE(runs[0].died);
  const auto losses = store.metrics(runs[0].id, "train_loss_step");
  ASSERT_GT(losses.size(), 10U);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    EXPECT_EQ(losses[i].step, static_cast<std::int64_t>(i));  // none is missing
  }
  // The store is written first, so it has all that the CSV has.
  EXPECT_GE(store.metrics(runs[0].id).back().step, 1);
  EXPECT_THAT(run_program(folder, {"runs"}).out, HasSubstr("interrupted (died)"));
}

TEST(Recorded, AFailedRunKeepsItsError) {
  const fs::path folder = fresh("failed");
  const fs::path manifest = write_tones(folder);
  fs::remove(folder / "train3big.wav");
  EXPECT_NE(run_program(folder, small_run("train", manifest)).exit_code, 0);
  const record::Store store(folder / "logs/polyphony.db", record::StoreMode::kExisting);
  const auto runs = store.runs();
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].state, record::State::kFailed);
  EXPECT_THAT(runs[0].error, HasSubstr("train3big.wav"));
}

/// Each value of a metric once: its steps rise by one from 0.
void expect_every_step_once(const record::Store& store, std::int64_t run) {
  const auto losses = store.metrics(run, "train_loss_step");
  ASSERT_GT(losses.size(), 3U);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    ASSERT_EQ(losses[i].step, static_cast<std::int64_t>(i));
  }
}

TEST(Recorded, ARunWhoseStoreIsLockedTrainsAndItsRecordComesInLater) {
  const fs::path folder = fresh("locked");
  const fs::path manifest = write_tones(folder);
  const fs::path path = folder / "logs/polyphony.db";
  { const record::Store made(path); }
  Finished trained;
  {
    const record::StoreHeld held(path);
    trained = run_program(
        folder, with(small_run("train", manifest), {"trainer.log_every_n_steps=1", "epochs=6"}));
  }
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, testing::Not(HasSubstr("recorded: run")));
  EXPECT_THAT(trained.err, HasSubstr("not recorded yet"));
  EXPECT_THAT(trained.err, HasSubstr("polyphony runs --store " + path.string() + " import"));
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints/last.ckpt"));
  const Finished listed = run_program(folder, {"runs"});
  EXPECT_THAT(listed.err, HasSubstr("brought in: run 1"));
  EXPECT_THAT(listed.out, HasSubstr("finished"));
  const record::Store store(path, record::StoreMode::kExisting);
  expect_every_step_once(store, 1);
  EXPECT_EQ(store.artifacts(1, "checkpoint").empty(), false);
  // Whoever imports it as well adds nothing.
  EXPECT_THAT(run_program(folder, {"runs", "import", "run"}).out, HasSubstr("already run 1"));
  EXPECT_EQ(store.runs().size(), 1U);
}

TEST(Recorded, ARunWhoseStoreIsDeletedKeepsItsWholeRecord) {
  const fs::path folder = fresh("deleted");
  const fs::path manifest = write_tones(folder);
  const Program program = polyphony_in(
      folder, with(small_run("train", manifest), {"epochs=10000", "trainer.log_every_n_steps=1",
                                                  "callbacks.early_stopping=null"}));
  const pid_t pid = program.start();
  const fs::path csv = folder / "run/metrics.csv";
  const auto wait_for = [](const auto& fact) {
    for (int i = 0; i < 3000 && !fact(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  };
  wait_for([&] { return fs::exists(csv) && fs::file_size(csv) > 2000; });
  for (const char* end : {"", "-wal", "-shm"}) {
    fs::remove(folder / (std::string("logs/polyphony.db") + end));
  }
  const auto size = fs::file_size(csv);
  wait_for([&] { return fs::file_size(csv) > size + 2000; });
  ::kill(pid, SIGINT);
  const Finished ended = program.finish(pid);
  EXPECT_EQ(ended.exit_code, 130) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("not recorded yet"));
  const Finished imported = run_program(folder, {"runs", "import", "run"});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_THAT(imported.out + imported.err, HasSubstr("brought in: run 1"));
  const record::Store store(folder / "logs/polyphony.db", record::StoreMode::kExisting);
  const auto runs = store.runs();
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].state, record::State::kInterrupted);
  EXPECT_FALSE(runs[0].died);
  expect_every_step_once(store, 1);
}

TEST(Recorded, ARunWhoseStoreIsFullKeepsWhatItLacks) {
  const fs::path folder = fresh("full");
  const fs::path manifest = write_tones(folder);
  record::Store other(folder / "logs/polyphony.db");
  const record::ConsoleLine line{0, 1, std::string(2 << 20, 'x')};
  other.log_console(other.begin({}), {&line, 1});
  Finished trained;
  {
    const record::FullFiles full(1 << 20);  // the store's log is longer, no file of the run is
    trained = run_program(
        folder, with(small_run("train", manifest), {"trainer.log_every_n_steps=1", "epochs=6"}));
  }
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, testing::Not(HasSubstr("recorded: run")));
  EXPECT_THAT(trained.err, HasSubstr("not recorded yet"));
  EXPECT_EQ(run_program(folder, {"runs", "import", "run"}).exit_code, 0);
  EXPECT_EQ(other.runs().at(0).state, record::State::kFinished);
  expect_every_step_once(other, 2);
}

}  // namespace
}  // namespace polyphony
