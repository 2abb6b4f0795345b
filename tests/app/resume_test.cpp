// A run goes on: `polyphony resume`, and what a resumed run may change.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/record/store.h>

#include "app/program.h"
#include "scratch.h"
#include "tone.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

fs::path fresh(const std::string& name) {
  const fs::path folder = scratch_directory() / ("resume-" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// A run of three batches an epoch, each step of it logged.
Words run_of(const fs::path& folder, const Words& more = {}) {
  return with(small_run("train", folder / "manifest.csv"),
              with({"loading.batch_size=8", "trainer.log_every_n_steps=1"}, more));
}

auto runs_of(const fs::path& folder) {
  return record::Store(folder / "logs/polyphony.db", record::StoreMode::kExisting).runs();
}

/// Starts a run that has no end, waits for some steps, and ends it by a signal.
Finished stopped(const fs::path& folder, int signal_number, const Words& more = {}) {
  const Program program = polyphony_in(
      folder, run_of(folder, with({"epochs=100000", "callbacks.early_stopping=null"}, more)));
  const pid_t pid = program.start();
  for (int i = 0; i < 6000 && !fs::exists(folder / "run/checkpoints/last.ckpt"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(pid, signal_number);
  return program.finish(pid);
}

/// Each logged step of a metric's column once, from 0 on.
void expect_every_step_once(const fs::path& run, std::size_t least) {
  const CsvTable table = read_csv(run / "metrics.csv");
  const auto column = static_cast<std::size_t>(
      std::find(table.header.begin(), table.header.end(), "train_loss_step") -
      table.header.begin());
  ASSERT_LT(column, table.header.size());
  std::int64_t next = 0;
  for (const auto& row : table.rows) {
    if (row[column].empty()) continue;
    EXPECT_EQ(row[1], std::to_string(next++));
  }
  EXPECT_GE(static_cast<std::size_t>(next), least);
}

// Resuming by ckpt_path: what was changed since.

class ChangedOptions : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fresh("changed");
    write_tones(folder_);
    ASSERT_EQ(
        run_program(folder_, run_of(folder_, {"epochs=1", "+test_after_train=false"})).exit_code,
        0);
  }
  static Finished resumed(const Words& more) {
    fs::remove_all(folder_ / "again");
    return run_program(folder_,
                       run_of(folder_, with({"ckpt_path=run/checkpoints/last.ckpt",
                                             "+test_after_train=false", "hydra.run.dir=again"},
                                            more)));
  }
  static fs::path folder_;
};
fs::path ChangedOptions::folder_;

TEST_F(ChangedOptions, ThatLeaveTrainingAloneAreTold) {
  const Finished ended =
      resumed({"epochs=2", "loading.workers=0", "callbacks.model_checkpoint.save_top_k=2",
               "callbacks.early_stopping={_target_: polyphony.callbacks.EarlyStopping, monitor: "
               "val_loss}",
               "run_name=other"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("resumed: trainer.max_epochs: 2 instead of 1"));
  EXPECT_THAT(ended.out, HasSubstr("resumed: loading.workers: 0 instead of 2"));
  EXPECT_THAT(ended.out,
              HasSubstr("resumed: callbacks.model_checkpoint.save_top_k: 2 instead of 1"));
  EXPECT_THAT(ended.out, HasSubstr("6 steps in all instead of 3: from step 3 on the schedule "
                                   "follows the new curve"));
}

TEST_F(ChangedOptions, ThatChangeWhatIsLearntAreRefusedUnlessAllowed) {
  const Words changes = {"epochs=2",
                         "seed=5",
                         "loading.batch_size=6",
                         "lr=0.01",
                         "task.label_smoothing=0.2",
                         "trainer.gradient_clip_val=0.5",
                         "dataset.ngrams.max_n=2"};
  const Finished refused = resumed(changes);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("seed: 5 instead of 2024"));
  EXPECT_THAT(refused.err, HasSubstr("loading.batch_size: 6 instead of 8"));
  EXPECT_THAT(refused.err, HasSubstr("optimizer.lr: 0.01 instead of 0.001"));
  EXPECT_THAT(refused.err, HasSubstr("task.label_smoothing: 0.2 instead of 0.05"));
  EXPECT_THAT(refused.err, HasSubstr("trainer.gradient_clip_val: 0.5 instead of 1.0"));
  EXPECT_THAT(refused.err, HasSubstr("dataset.ngrams.max_n: 2 instead of 1"));
  EXPECT_THAT(refused.err, HasSubstr("'resume.allow=["));
  // A variable, a section, an option.
  const Finished taken = resumed(with(
      changes,
      {"resume.allow=[seed,loading.batch_size,lr,task,trainer.gradient_clip_val,dataset.ngrams]"}));
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_THAT(taken.out, HasSubstr("resumed: optimizer.lr: 0.01 instead of 0.001"));
}

TEST_F(ChangedOptions, OtherClassesOfOptimizerAndScheduleBeginAnew) {
  const Words changes = {"epochs=2", "optimizer._target_=polyphony.optim.SGD",
                         "schedule._target_=polyphony.optim.Constant", "~schedule.warmup_ratio",
                         "~schedule.eta_min_ratio"};
  const Finished refused = resumed(changes);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("optimizer._target_"));
  const Finished taken = resumed(with(changes, {"resume.allow=[optimizer,schedule]"}));
  EXPECT_EQ(taken.exit_code, 0) << taken.err;
}

TEST_F(ChangedOptions, OrderOfClassesAndShapeOfTheModelAreAlwaysRefused) {
  const Finished order = resumed({"dataset.classes=[big,small,other]", "resume.allow=[dataset]"});
  EXPECT_EQ(order.exit_code, 1);
  EXPECT_THAT(order.err, HasSubstr("[big, small, other] instead of [small, big, other]"));
  const Finished shape =
      resumed({"task.model.encoder.dims=16", "resume.allow=[task.model.encoder.dims]"});
  EXPECT_EQ(shape.exit_code, 1);
  EXPECT_THAT(shape.err, HasSubstr("the model is not the checkpoint's"));
  EXPECT_THAT(shape.err, HasSubstr("task.model.encoder.dims: 16 instead of 8"));
}

TEST_F(ChangedOptions, OtherDataIsRefusedUnlessAllowed) {
  const fs::path moved = folder_ / "moved";
  fs::remove_all(moved);
  fs::create_directories(moved);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.is_regular_file()) fs::copy_file(entry.path(), moved / entry.path().filename());
  }
  const std::string manifest = "dataset.manifest=" + (moved / "manifest.csv").string();
  const Finished same = resumed({manifest});
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("resumed: dataset.manifest: "));

  write_tone(moved / "train3big.wav", 555, 16000 / 2);
  const Finished recording = resumed({manifest});
  EXPECT_EQ(recording.exit_code, 1);
  EXPECT_THAT(recording.err, HasSubstr("dataset.files"));
  EXPECT_EQ(resumed({manifest, "resume.allow=[dataset.files]"}).exit_code, 0);

  std::string text = read_file(moved / "manifest.csv");
  const std::size_t row = text.find("train3small.wav");
  text.replace(text.find(",small,", row), 7, ",big,");
  write_file(moved / "manifest.csv", text);
  const Finished label = resumed({manifest, "resume.allow=[dataset.files]"});
  EXPECT_EQ(label.exit_code, 1);
  EXPECT_THAT(label.err, HasSubstr("dataset.rows"));
}

TEST_F(ChangedOptions, AnAllowedNameThatNoOptionHasIsAnError) {
  const Finished ended = resumed({"resume.allow=[optimizer.lrr]"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("did you mean optimizer.lr?"));
}

// polyphony resume.

TEST(ResumeVerb, AStoppedRunGoesOnInItsDirectoryAsOneNeverStopped) {
  const fs::path folder = fresh("stopped");
  write_tones(folder);
  const Finished ended = stopped(folder, SIGTERM);
  EXPECT_EQ(ended.exit_code, 143);
  EXPECT_THAT(ended.err, HasSubstr("polyphony resume " + (folder / "run").string()));
  const auto before = read_csv(folder / "run/metrics.csv").rows.size();
  // From another directory, with an end.
  fs::create_directories(folder / "elsewhere");
  Program again =
      polyphony_in(folder / "elsewhere", {"resume", "../run", "+trainer.max_steps=300"});
  again.environment["POLYPHONY_STORE"] = folder / "logs/polyphony.db";
  const Finished resumed = again.run();
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr(" goes on from "));  // last.ckpt, where it has as many steps
  EXPECT_FALSE(fs::exists(folder / "run-1"));
  EXPECT_GT(read_csv(folder / "run/metrics.csv").rows.size(), before);
  expect_every_step_once(folder / "run", 300);
  const auto runs = runs_of(folder);
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].state, record::State::kFinished);
  const record::Store store(folder / "logs/polyphony.db", record::StoreMode::kExisting);
  EXPECT_EQ(store.metrics(1, "train_loss_step").size(), 300U);
}

TEST(ResumeVerb, AKilledRunGoesOnByLastAndByNumber) {
  const fs::path folder = fresh("killed");
  write_tones(folder);
  stopped(folder, SIGKILL, {"trainer.devices=2"});
  const Finished resumed = run_program(folder, {"resume", "last", "trainer.max_epochs=40"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_every_step_once(folder / "run", 80);
  EXPECT_EQ(runs_of(folder).size(), 1U);
  // What was given is the run's own from now on.
  EXPECT_THAT(read_file(folder / "run/.hydra/config.yaml"), HasSubstr("max_epochs: 40"));
  const Finished over = run_program(folder, {"resume", "1"});
  EXPECT_EQ(over.exit_code, 2);
  EXPECT_THAT(over.err, HasSubstr("the run is finished: 40 epochs"));
  EXPECT_THAT(over.err, HasSubstr("trainer.max_epochs=80"));
  const Finished more = run_program(
      folder, {"resume", (folder / "run/checkpoints/last.ckpt").string(), "trainer.max_epochs=41"});
  EXPECT_EQ(more.exit_code, 0) << more.err;
  expect_every_step_once(folder / "run", 82);
}

TEST(ResumeVerb, FromAnEarlierCheckpointTheLaterOnesAreTakenBack) {
  const fs::path folder = fresh("branch");
  write_tones(folder);
  ASSERT_EQ(
      run_program(folder, run_of(folder, {"epochs=3", "callbacks.model_checkpoint.save_top_k=-1",
                                          "callbacks.model_checkpoint.filename='epoch={epoch}'"}))
          .exit_code,
      0);
  const fs::path files = folder / "run/checkpoints";
  ASSERT_TRUE(fs::exists(files / "epoch=0.ckpt"));
  const std::string old = read_file(files / "last.ckpt");
  write_file(files / "last.ckpt.before-resume", "taken");
  fs::create_symlink("epoch=2.ckpt", files / "link.ckpt");
  const Finished branch =
      run_program(folder, {"resume", (files / "epoch=0.ckpt").string(), "trainer.max_epochs=2",
                           "seed=5", "resume.allow=[seed]"});
  ASSERT_EQ(branch.exit_code, 0) << branch.err;
  EXPECT_THAT(branch.out, HasSubstr("later checkpoints are now NAME.before-resume: "));
  EXPECT_EQ(read_file(files / "last.ckpt.before-resume"), "taken");
  EXPECT_EQ(read_file(files / "last.ckpt.before-resume-1"), old);
  EXPECT_TRUE(fs::exists(files / "epoch=2.ckpt.before-resume"));
  EXPECT_TRUE(fs::is_symlink(files / "link.ckpt"));
  EXPECT_FALSE(fs::exists(files / "last-v1.ckpt"));
  // The permission held for that once; the change itself is kept.
  for (const char* name : {"config.yaml", "overrides.yaml", "hydra.yaml"}) {
    const std::string text = read_file(folder / "run/.hydra" / name);
    EXPECT_THAT(text, Not(HasSubstr("resume.allow"))) << name;
  }
  EXPECT_THAT(read_file(folder / "run/.hydra/overrides.yaml"), HasSubstr("seed=5"));
  const Finished refused = run_program(folder, {"resume", "run", "trainer.max_epochs=3", "seed=6"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("seed: 6 instead of 5"));
  // The run is the new branch; of equals last.ckpt is meant, though another is newer.
  fs::last_write_time(files / "epoch=1.ckpt",
                      fs::last_write_time(files / "last.ckpt") + std::chrono::hours(1));
  const Finished more = run_program(folder, {"resume", "run", "trainer.max_epochs=3"});
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.out, HasSubstr("last.ckpt: step 6,"));
  expect_every_step_once(folder / "run", 9);
}

TEST(ResumeVerb, AFinishedRunNamesTheLimitThatEndedIt) {
  struct Case {
    Words words;
    Words advice;
  };
  const std::vector<Case> cases = {
      {{"+trainer.max_steps=2"}, {"trainer.max_steps=4"}},
      {{"epochs=1"}, {"trainer.max_epochs=2"}},
      {{"epochs=1", "+trainer.max_steps=3"}, {"trainer.max_epochs=2", "trainer.max_steps=6"}},
      {{"epochs=100000", "+trainer.max_time='00:00:00:01'"}, {"trainer.max_time=00:00:00:0"}},
      {{"epochs=100000",
        "callbacks.early_stopping={_target_: polyphony.callbacks.EarlyStopping, "
        "monitor: val_loss, patience: 1, min_delta: 1000}"},
       {"callbacks.early_stopping.patience=2"}},
      {{"epochs=100000",
        "callbacks.early_stopping={_target_: polyphony.callbacks.EarlyStopping, "
        "monitor: val_loss, stopping_threshold: 1000}"},
       {"callbacks.early_stopping=null"}},
      {{"epochs=100000",
        "+callbacks.timer={_target_: polyphony.callbacks.Timer, "
        "duration: '00:00:00:01'}"},
       {"callbacks.timer.duration=00:00:00:0"}},
  };
  const fs::path folder = fresh("limits");
  write_tones(folder);
  int number = 0;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.words.back());
    const std::string run = "limited-" + std::to_string(number++);
    const Finished ended = run_program(
        folder,
        run_of(folder, with({"hydra.run.dir=" + run, "+test_after_train=false"}, one.words)));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    const Finished over = run_program(folder, {"resume", run});
    EXPECT_EQ(over.exit_code, 2);
    EXPECT_THAT(over.err, HasSubstr("the run is finished"));
    std::size_t named = 0;
    const std::string advice = over.err.substr(over.err.find("to train on"));
    for (const char* key :
         {"trainer.max_epochs=", "trainer.max_steps=", "trainer.max_time=", "callbacks."}) {
      if (advice.find(key) != std::string::npos) ++named;
    }
    EXPECT_EQ(named, one.advice.size()) << advice;
    for (const std::string& word : one.advice) EXPECT_THAT(advice, HasSubstr(word));
  }
  // What is advised is enough.
  EXPECT_EQ(run_program(folder, {"resume", "limited-0", "trainer.max_steps=4"}).exit_code, 0);
}

/// How often a text occurs.
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t times = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

TEST(ResumeVerb, SeveralProcessesAreRefusedInOneMessage) {
  const fs::path folder = fresh("refused-processes");
  write_tones(folder);
  ASSERT_EQ(run_program(folder, run_of(folder, {"epochs=1", "trainer.devices=2"})).exit_code, 0);
  const auto refused = [&](const Words& words, int code, const std::string& message) {
    SCOPED_TRACE(message);
    const Finished ended = run_program(folder, with({"resume", "run"}, words));
    EXPECT_EQ(ended.exit_code, code);
    EXPECT_EQ(count(ended.err, message), 1U) << ended.err;
    EXPECT_THAT(ended.err, Not(HasSubstr("rank ")));
    EXPECT_THAT(ended.out, Not(HasSubstr("rank ")));
  };
  refused({}, 2, "the run is finished");
  refused({"trainer.max_epochs=3", "seed=5"}, 1, "seed: 5 instead of 2024");
  fs::rename(folder / "run/checkpoints", folder / "elsewhere");
  refused({}, 3, "no checkpoint to go on from");
  // What is refused has not been touched.
  fs::rename(folder / "elsewhere", folder / "run/checkpoints");
  EXPECT_EQ(run_program(folder, {"resume", "run", "trainer.max_epochs=2"}).exit_code, 0);
}

TEST(ResumeVerb, ARefusedChangeLeavesTheRunAsItWas) {
  const fs::path folder = fresh("refused");
  write_tones(folder);
  ASSERT_EQ(run_program(folder, run_of(folder)).exit_code, 0);
  const std::string before = read_file(folder / "run/.hydra/config.yaml");
  const Finished refused = run_program(folder, {"resume", "run", "trainer.max_epochs=3", "seed=5"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("seed: 5 instead of 2024"));
  EXPECT_EQ(read_file(folder / "run/.hydra/config.yaml"), before);
  EXPECT_THAT(run_program(folder, {"resume", "run", "hydra.run.dir=x"}).err,
              HasSubstr("stays in its directory"));
  EXPECT_THAT(run_program(folder, {"resume", "run", "optimizer=sgd"}).err,
              HasSubstr("keeps the groups"));
  EXPECT_THAT(run_program(folder, {"resume", "run", "trainer.max_epoch=3"}).err,
              HasSubstr("max_epochs"));
}

TEST(ResumeVerb, WhatCannotGoOnSaysWhy) {
  const fs::path folder = fresh("wrong");
  write_tones(folder);
  EXPECT_THAT(run_program(folder, {"resume", "nowhere"}).err, HasSubstr("no such run"));
  EXPECT_THAT(run_program(folder, {"resume", "."}).err, HasSubstr("no run's directory"));
  const Program program =
      polyphony_in(folder, run_of(folder, {"epochs=100000", "callbacks.early_stopping=null"}));
  const pid_t pid = program.start();
  for (int i = 0; i < 6000 && !fs::exists(folder / "run/checkpoints/last.ckpt"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const Finished running = run_program(folder, {"resume", "run"});
  ::kill(pid, SIGKILL);
  program.finish(pid);
  EXPECT_EQ(running.exit_code, 2);
  EXPECT_THAT(running.err, HasSubstr("is running, as process "));
  EXPECT_THAT(run_program(folder, {"resume", "7"}).err, HasSubstr("there is no run 7"));
}

}  // namespace
}  // namespace polyphony
