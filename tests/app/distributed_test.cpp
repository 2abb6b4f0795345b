// Several processes: started by the program itself, or by torchrun's environment variables.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>
#include <polyphony/record/store.h>

#include "app/program.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path fresh(const std::string& name) {
  const fs::path folder = scratch_directory() / ("distributed-" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

std::vector<std::string> small(const fs::path& manifest, std::vector<std::string> more) {
  std::vector<std::string> arguments = small_run("train", manifest);
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

auto runs_of(const fs::path& folder) {
  return record::Store(folder / "logs/polyphony.db", record::StoreMode::kExisting).runs();
}

/// One of two processes that torchrun would start; each prints to files of its own.
Program rank_of(int rank, const fs::path& folder, std::vector<std::string> arguments) {
  Program program = polyphony_in(folder, std::move(arguments));
  program.environment["RANK"] = program.environment["LOCAL_RANK"] = std::to_string(rank);
  program.environment["WORLD_SIZE"] = program.environment["LOCAL_WORLD_SIZE"] = "2";
  program.environment["MASTER_ADDR"] = "127.0.0.1";
  program.environment["MASTER_PORT"] = std::to_string(21000 + getpid() % 9000);
  program.output = folder.string() + "-rank" + std::to_string(rank);
  return program;
}

TEST(Distributed, TwoProcessesMakeOneRun) {
  const fs::path folder = fresh("two");
  const Finished ended = run_program(folder, small(write_tones(folder), {"trainer.devices=2"}));
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_TRUE(fs::exists(folder / "run/rank-1.log"));
  EXPECT_EQ(load_npy(folder / "run/predictions/test.npy").shape, (std::vector<std::int64_t>{9, 3}));
  const auto runs = runs_of(folder);
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].state, record::State::kFinished);
}

TEST(Distributed, ProcessesOfALauncherShareTheFirstOnesDirectory) {
  const fs::path folder = fresh("launcher");
  const fs::path manifest = write_tones(folder);
  fs::create_directories(folder / "run");
  write_file(folder / "run/of_before", "");  // so that the run's directory is run-1
  const Program first = rank_of(0, folder, small(manifest, {}));
  const Program second = rank_of(1, folder, small(manifest, {}));
  const pid_t pid = first.start();
  const Finished other = second.run();
  const Finished ended = first.finish(pid);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  ASSERT_EQ(other.exit_code, 0) << other.err;
  EXPECT_TRUE(fs::exists(folder / "run-1/rank-1.log"));
  EXPECT_TRUE(fs::exists(folder / "run-1/checkpoints/last.ckpt"));
  EXPECT_FALSE(fs::exists(folder / "run-2"));
  EXPECT_EQ(runs_of(folder).size(), 1U);
}

/// Runs a verb as two processes of a launcher. The configuration names the run's directory, which
/// the second process learns from the first: its rows are in DIRECTORY.csv.
void expect_one_directory(const fs::path& folder, std::vector<std::string> words) {
  fs::rename(write_tones(folder), folder / "run-1.csv");
  fs::create_directories(folder / "run");
  write_file(folder / "run/of_before", "");
  for (const char* word :
       {"dataset.manifest='${hydra:runtime.output_dir}.csv'", "hydra.run.dir=run",
        "connected_dir=connected", "num_threads=1", "batch_size=6", "epoch=1"}) {
    words.emplace_back(word);
  }
  words.push_back("--config-path=" + std::string(POLYPHONY_SOURCE_DIR) + "/configs");
  const Program first = rank_of(0, folder, words);
  const Program second = rank_of(1, folder, words);
  const pid_t pid = first.start();
  const Finished other = second.run();
  const Finished ended = first.finish(pid);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  ASSERT_EQ(other.exit_code, 0) << other.err;
  EXPECT_TRUE(fs::exists(folder / "run-1/rank-1.log"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "run"), fs::directory_iterator()), 1);
  EXPECT_EQ(runs_of(folder).size(), 1U);
}

TEST(Distributed, AFineTuningOfALauncherHasTheFirstOnesDirectory) {
  const std::string encoders = std::string(POLYPHONY_SOURCE_DIR) + "/examples/tiny_encoders";
  expect_one_directory(fresh("unimodal"), {"unimodal", "mode=text", "dataset=fillets_words",
                                           "text_pretrained_model_name=" + encoders + "/bert"});
}

TEST(Distributed, AFusionOfALauncherHasTheFirstOnesDirectory) {
  expect_one_directory(
      fresh("multimodal"),
      {"multimodal", "dataset=fillets", "dataset.inputs=[log_mel]", "+ngram_buckets=64",
       "audio_step=0", "text_step=0", "~architecture.model",
       "+architecture.model={_target_: polyphony.models.AudioClassifier, num_labels: 3, encoder: "
       "{_target_: polyphony.models.LogMelEncoder, channels: 8, dims: 8}}"});
}

TEST(Distributed, ALaunchersProcessesThatMayNotResumeEndWithTheCodeOfTheFirst) {
  const fs::path folder = fresh("finished");
  ASSERT_EQ(
      run_program(folder, small(write_tones(folder), {"trainer.devices=2", "epochs=1"})).exit_code,
      0);
  const Program first = rank_of(0, folder, {"resume", "run"});
  const Program second = rank_of(1, folder, {"resume", "run"});
  const pid_t pid = first.start();
  const Finished other = second.run();
  const Finished ended = first.finish(pid);
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("the run is finished: 1 epochs"));
  EXPECT_THAT(ended.err, testing::Not(HasSubstr("rank 1")));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_EQ(other.err, "");
}

TEST(Distributed, AKilledProcessEndsTheOthersAndTheRunResumes) {
  const fs::path folder = fresh("killed");
  const fs::path manifest = write_tones(folder);
  const std::vector<std::string> endless =
      small(manifest, {"epochs=10000", "callbacks.early_stopping=null"});
  const Program first = rank_of(0, folder, endless);
  const Program second = rank_of(1, folder, endless);
  const pid_t pid = first.start();
  const pid_t victim = second.start();
  const fs::path checkpoint = folder / "run/checkpoints/last.ckpt";
  for (int i = 0; i < 6000 && !fs::exists(checkpoint); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(victim, SIGKILL);
  second.finish(victim);
  const Finished ended = first.finish(pid);
  EXPECT_EQ(ended.exit_code, 5);
  EXPECT_THAT(ended.err, HasSubstr("rank 1 (host "));
  auto runs = runs_of(folder);
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].state, record::State::kFailed);
  EXPECT_THAT(runs[0].error, HasSubstr("rank 1"));

  // Already past its epochs: it only has to load in both processes and test.
  const Finished resumed =
      run_program(folder, small(manifest, {"trainer.devices=2", "epochs=1", "hydra.run.dir=resumed",
                                           "ckpt_path=" + checkpoint.string()}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  runs = runs_of(folder);
  EXPECT_EQ(runs.size(), 2U);
}

}  // namespace
}  // namespace polyphony
