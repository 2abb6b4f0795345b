// The program itself: killed at some moment and resumed, it ends as one that was never stopped.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <scratch.h>
#include <tone.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/archive.h>

namespace polyphony {
namespace {

namespace fs = std::filesystem;

/// Forty recordings in three pitches, with a manifest.
void write_corpus(const fs::path& folder) {
  std::string manifest = "audio_path,text,label,split\n";
  for (int i = 0; i < 40; ++i) {
    const std::string name = "tone" + std::to_string(i) + ".wav";
    write_tone(folder / name, 200.0 + 300 * (i % 3) + i, 16000 / 3);
    const char* split = i < 28 ? "train" : i < 34 ? "val" : "test";
    manifest += name + ",words of number " + std::to_string(i) + "," +
                std::string(i % 3 == 0   ? "small"
                            : i % 3 == 1 ? "big"
                                         : "other") +
                "," + split + "\n";
  }
  write_file(folder / "manifest.csv", manifest);
}

class Program {
 public:
  /// Starts a training run of the corpus in so many processes; every step is saved.
  Program(const fs::path& base, const std::string& name, const std::string& resume, int devices) {
    std::vector<std::string> words = {POLYPHONY_BINARY,
                                      "train",
                                      "experiment=fillets/audio",
                                      "epochs=4",
                                      "num_threads=1",
                                      "trainer.devices=" + std::to_string(devices),
                                      "dataset.manifest=" + (base / "manifest.csv").string(),
                                      "loading.batch_size=4",
                                      "hydra.run.dir=" + (base / name).string(),
                                      "trainer.log_every_n_steps=1",
                                      "callbacks.early_stopping=null",
                                      "+callbacks.model_checkpoint.every_n_train_steps=1",
                                      "+test_after_train=false",
                                      "task.model.encoder.dims=16"};
    if (!resume.empty()) words.push_back("ckpt_path=" + resume);
    begin(base, name, std::move(words));
  }
  /// `polyphony resume` of the run in its own directory.
  static Program again(const fs::path& base, const std::string& name, int devices) {
    Program program;
    program.begin(base, name,
                  {POLYPHONY_BINARY, "resume", (base / name).string(),
                   "trainer.devices=" + std::to_string(devices)});
    return program;
  }
  int wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  /// Signals it once it holds, or it has ended.
  void signal_when(const std::function<bool()>& holds, int number) const {
    using namespace std::chrono_literals;
    siginfo_t ended{};
    for (int i = 0; i < 60000 && !holds() && ended.si_pid == 0; ++i) {
      std::this_thread::sleep_for(1ms);
      waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
    }
    kill(pid_, number);
  }
  /// Signals it once the file is there.
  void signal_when(const fs::path& file, int number) const {
    signal_when([&] { return fs::exists(file); }, number);
  }

 private:
  Program() = default;
  void begin(const fs::path& base, const std::string& name, std::vector<std::string> words) {
    pid_ = fork();
    if (pid_ != 0) return;
    setenv("POLYPHONY_STORE", (base / "runs.db").c_str(), 1);
    if (chdir(POLYPHONY_SOURCE_DIR) != 0 ||
        !freopen((base / (name + ".txt")).c_str(), "w", stdout) || dup2(1, 2) < 0) {
      _exit(99);
    }
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(POLYPHONY_BINARY, arguments.data());
    _exit(98);
  }
  pid_t pid_ = 0;
};

/// The dict with another value for one of its keys.
tensor::Value with(const tensor::Value& dict, const std::string& key, const tensor::Value& value) {
  tensor::Value changed = tensor::Value::dict();
  for (const auto& [name, old] : dict.entries()) {
    const bool meant = name.kind() == tensor::Value::Kind::kString && name.as_string() == key;
    changed.set(name, meant ? value : old);
  }
  return changed;
}

/// The parameter is the number of processes.
class ProgramResume : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name.begin(), name.end(), '/', '-');
    base_ = scratch_directory() / name;
    fs::remove_all(base_);
    write_corpus(base_);
    ASSERT_EQ(start("straight").wait(), 0) << read_file(base_ / "straight.txt");
  }
  Program start(const std::string& name, const std::string& checkpoint = "") const {
    return Program(base_, name, checkpoint, GetParam());
  }
  void expect_same(const std::string& name, const fs::path& checkpoint) {
    ASSERT_EQ(start(name, checkpoint.string()).wait(), 0) << read_file(base_ / (name + ".txt"));
    expect_straight(name);
  }
  /// The run's table and weights are those of the run that was never stopped.
  void expect_straight(const std::string& name) {
    EXPECT_EQ(read_file(base_ / name / "metrics.csv"),
              read_file(base_ / "straight" / "metrics.csv"));
    const tensor::Value mine = last_of(name);
    const tensor::Value straight = last_of("straight");
    const auto& weights = straight.at("state_dict").entries();
    ASSERT_GT(weights.size(), 4U);
    for (const auto& [key, weight] : weights) {
      const at::Tensor& other = mine.at("state_dict").at(key.as_string()).as_tensor();
      EXPECT_TRUE(at::equal(other, weight.as_tensor())) << key.as_string();
    }
  }
  tensor::Value last_of(const std::string& name) const {
    return tensor::load_archive(base_ / name / "checkpoints" / "last.ckpt");
  }
  fs::path base_;
};

TEST_P(ProgramResume, AfterTerminationSavesAndExitsWith143) {
  const Program stopped = start("stopped");
  stopped.signal_when(base_ / "stopped" / "checkpoints" / "last.ckpt", SIGTERM);
  ASSERT_EQ(stopped.wait(), 143) << read_file(base_ / "stopped.txt");
  expect_same("resumed", base_ / "stopped" / "checkpoints" / "interrupted.ckpt");
}

TEST_P(ProgramResume, AfterAKillFromTheLastCheckpoint) {
  const Program killed = start("killed");
  killed.signal_when(base_ / "killed" / "checkpoints" / "last.ckpt", SIGKILL);
  ASSERT_EQ(killed.wait(), 128 + SIGKILL);
  expect_same("resumed", base_ / "killed" / "checkpoints" / "last.ckpt");
}

TEST_P(ProgramResume, InItsOwnDirectoryAfterAKill) {
  const Program killed = start("killed");
  killed.signal_when(base_ / "killed" / "checkpoints" / "last.ckpt", SIGKILL);
  ASSERT_EQ(killed.wait(), 128 + SIGKILL);
  ASSERT_EQ(Program::again(base_, "killed", GetParam()).wait(), 0)
      << read_file(base_ / "killed.txt");
  expect_straight("killed");
}

TEST_P(ProgramResume, FromAnotherLibTorchsCheckpointNamesBoth) {
  const Program killed = start("killed");
  killed.signal_when(base_ / "killed" / "checkpoints" / "last.ckpt", SIGKILL);
  ASSERT_EQ(killed.wait(), 128 + SIGKILL);
  const tensor::Value saved = last_of("killed");
  const tensor::Value& facts = saved.at("polyphony_run");
  tensor::save_archive(
      base_ / "other.ckpt",
      with(saved, "polyphony_run", with(facts, "torch", tensor::Value(std::string("1.2.3")))));
  expect_same("resumed", base_ / "other.ckpt");
  EXPECT_THAT(read_file(base_ / "resumed.txt"),
              testing::HasSubstr("resumed: LibTorch " + facts.at("torch").as_string() +
                                 " instead of 1.2.3: the last digits may differ\n"));
}

INSTANTIATE_TEST_SUITE_P(Processes, ProgramResume, ::testing::Values(1, 2));

}  // namespace
}  // namespace polyphony
