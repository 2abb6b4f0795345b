// What a run leaves behind when it fails, ends early or meets another run in its directory.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <polyphony/base/files.h>

#include "app/program.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path fresh(const std::string& name) {
  const fs::path folder = fs::canonical(scratch_directory()) / ("checkpoints-" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

Program train(const fs::path& folder, const fs::path& manifest, const std::string& directory,
              std::vector<std::string> more) {
  std::vector<std::string> arguments = small_run("train", manifest);
  arguments.push_back("hydra.run.dir=" + directory);
  arguments.insert(arguments.end(), more.begin(), more.end());
  Program program = polyphony_in(folder, std::move(arguments));
  program.output = (folder / directory).string() + "-printed";
  return program;
}

const std::vector<std::string> kOneCycle = {"~schedule",
                                            "+schedule._target_=polyphony.optim.OneCycleLR",
                                            "+schedule.max_lr=0.01", "+schedule.interval=step"};

std::vector<std::string> with(std::vector<std::string> words, const std::string& word) {
  words.push_back(word);
  return words;
}

TEST(Checkpoints, OneCycleLREndsWithItsRun) {
  const fs::path folder = fresh("cycle");
  const fs::path manifest = write_tones(folder);
  const Finished ended = train(folder, manifest, "run", kOneCycle).run();
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints/last.ckpt"));
  EXPECT_TRUE(fs::exists(folder / "run/predictions/test.npy"));
}

TEST(Checkpoints, AFailedScheduleIsThePrintedErrorAndTheRunGoesOnOnceItIsMended) {
  const fs::path folder = fresh("schedule");
  const fs::path manifest = write_tones(folder);
  const auto of_steps = [&](const std::string& directory, std::vector<std::string> more) {
    std::vector<std::string> words = with(kOneCycle, "loading.batch_size=4");
    words.insert(words.end(), more.begin(), more.end());
    return train(folder, manifest, directory, std::move(words)).run();
  };
  const Finished failed = of_steps("failed", {"+schedule.total_steps=7"});
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_THAT(failed.err, HasSubstr("OneCycleLR: moved 8 times; total_steps is 7"));
  const fs::path saved = folder / "failed/checkpoints/exception.ckpt";
  EXPECT_THAT(failed.err, HasSubstr("ckpt_path=" + saved.string()));
  ASSERT_TRUE(fs::exists(saved));
  const std::string last = read_file(folder / "failed/checkpoints/last.ckpt");
  const Finished mended =
      of_steps("mended", {"+schedule.total_steps=12", "ckpt_path=" + saved.string(),
                          "resume.allow=[schedule.total_steps]"});
  EXPECT_EQ(mended.exit_code, 0) << mended.err;
  EXPECT_EQ(read_file(folder / "failed/checkpoints/last.ckpt"), last);
}

TEST(Checkpoints, ARunThatADamagedRecordingEndedGoesOnAsIfItHadBeenWhole) {
  const fs::path folder = fresh("recording");
  const fs::path manifest = write_tones(folder);
  const std::vector<std::string> small = {"loading.batch_size=2", "trainer.log_every_n_steps=1",
                                          "loading.workers=1", "+loading.prefetch=1"};
  ASSERT_EQ(train(folder, manifest, "straight", small).run().exit_code, 0);
  const fs::path recording = folder / "train5big.wav";
  const std::string whole = read_file(recording);
  write_file(recording, "no sound at all");
  const Finished failed = train(folder, manifest, "failed", small).run();
  EXPECT_EQ(failed.exit_code, 3) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr(recording.string()));
  write_file(recording, whole);
  const fs::path saved = folder / "failed/checkpoints/exception.ckpt";
  ASSERT_TRUE(fs::exists(saved)) << failed.err;
  // Another content of the recording is meant, and has to be said.
  std::vector<std::string> again = with(small, "ckpt_path=" + saved.string());
  const Finished refused = train(folder, manifest, "refused", again).run();
  EXPECT_THAT(refused.err, HasSubstr("resume.allow=[dataset.files]"));
  again.emplace_back("resume.allow=[dataset.files]");
  const Finished mended = train(folder, manifest, "mended", again).run();
  ASSERT_EQ(mended.exit_code, 0) << mended.err;
  EXPECT_EQ(read_file(folder / "mended/metrics.csv"), read_file(folder / "straight/metrics.csv"));
  EXPECT_EQ(read_file(folder / "mended/predictions/test.npy"),
            read_file(folder / "straight/predictions/test.npy"));
}

TEST(Checkpoints, MaxStepsBeforeAValidationLeavesLastCkptAndFastDevRunNothing) {
  const fs::path folder = fresh("ends");
  const fs::path manifest = write_tones(folder);
  const Finished steps =
      train(folder, manifest, "steps",
            {"+trainer.max_steps=1", "+trainer.check_val_every_n_epoch=2", "loading.batch_size=4"})
          .run();
  EXPECT_EQ(steps.exit_code, 0) << steps.err;
  EXPECT_TRUE(fs::exists(folder / "steps/checkpoints/last.ckpt"));
  const Finished trial =
      train(folder, manifest, "trial", {"+trainer.fast_dev_run=true", "logger=many"}).run();
  EXPECT_EQ(trial.exit_code, 0) << trial.err;
  for (const char* name : {"checkpoints", "predictions", "tensorboard", "wandb", "mlruns"}) {
    EXPECT_FALSE(fs::exists(folder / "trial" / name)) << name;
  }
}

TEST(Checkpoints, ASecondRunInOneDirectoryIsRefusedUntilTheFirstHasEnded) {
  const fs::path folder = fresh("lock");
  const fs::path manifest = write_tones(folder);
  const std::vector<std::string> shared = {"+callbacks.model_checkpoint.dirpath=shared",
                                           "+test_after_train=false"};
  std::vector<std::string> endless = with(shared, "epochs=10000");
  endless.push_back("callbacks.early_stopping=null");
  const Program first = train(folder, manifest, "first", endless);
  const pid_t pid = first.start();
  const fs::path last = folder / "shared/last.ckpt";
  for (int i = 0; i < 60000 && !fs::exists(last); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const Finished second = train(folder, manifest, "second", shared).run();
  EXPECT_EQ(second.exit_code, 4) << second.out;
  EXPECT_THAT(second.err, HasSubstr("process " + std::to_string(pid) + " on "));
  EXPECT_THAT(second.err, HasSubstr((folder / "first").string()));
  EXPECT_THAT(second.err, HasSubstr("callbacks.model_checkpoint.dirpath="));
  ::kill(pid, SIGKILL);
  first.finish(pid);
  const Finished third =
      train(folder, manifest, "third", with(shared, "ckpt_path=" + last.string())).run();
  EXPECT_EQ(third.exit_code, 0) << third.err;
  EXPECT_FALSE(fs::exists(folder / "shared/last-v1.ckpt"));
  EXPECT_FALSE(fs::exists(folder / "shared/.lock"));
}

}  // namespace
}  // namespace polyphony
