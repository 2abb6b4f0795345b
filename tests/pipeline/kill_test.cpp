// A training run that is killed again and again, at any instant, and resumed each time ends as one
// that was never stopped. POLYPHONY_KILLS sets how many kills the slow form does in each of its
// four ways of resuming (25), POLYPHONY_KILL_SEED where they fall.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <thread>

#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <scratch.h>
#include <tone.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>
#include <polyphony/tensor/archive.h>

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kTrainRows = 28, kValRows = 6, kTestRows = 6, kBatch = 4, kEpochs = 3;
constexpr int kSteps = kEpochs * kTrainRows / kBatch;

void write_corpus(const fs::path& folder) {
  std::string manifest = "audio_path,text,label,split\n";
  for (int i = 0; i < kTrainRows + kValRows + kTestRows; ++i) {
    const std::string name = "tone" + std::to_string(i) + ".wav";
    write_tone(folder / name, 200.0 + 300 * (i % 3) + i, 1600);
    const char* split = i < kTrainRows ? "train" : i < kTrainRows + kValRows ? "val" : "test";
    const char* label = i % 3 == 0 ? "small" : i % 3 == 1 ? "big" : "other";
    manifest += fmt::format("{},words of number {},{},{}\n", name, i, label, split);
  }
  write_file(folder / "manifest.csv", manifest);
}

/// When a process is killed, and how.
struct Kill {
  enum class When {
    kAfterSave,  ///< a moment after so many saves: in training, or in the validation that follows
    kWhileSaving,
    kAnyTime,  ///< since the process began, starting up included
    kInTest,
  };
  When when = When::kAfterSave;
  int saves = 0;
  std::chrono::microseconds delay{0};
};

std::string text_of(const Kill& kill) {
  switch (kill.when) {
    case Kill::When::kAfterSave:
      return fmt::format("{} us after {} saves", kill.delay.count(), kill.saves);
    case Kill::When::kWhileSaving:
      return fmt::format("in a save after {} saves", kill.saves);
    case Kill::When::kAnyTime:
      return fmt::format("{} us after the start", kill.delay.count());
    case Kill::When::kInTest:
      return fmt::format("{} us into the test", kill.delay.count());
  }
  return "";
}

/// A running `polyphony train` with all that it starts.
class Life {
 public:
  Life(std::vector<std::string> words, const fs::path& store, const fs::path& output,
       const fs::path& directory)
      : directory_(directory), output_(output), last_(stamp()) {
    pid_ = fork();
    if (pid_ != 0) return;
    setpgid(0, 0);
    setenv("POLYPHONY_STORE", store.c_str(), 1);
    if (chdir(POLYPHONY_SOURCE_DIR) != 0 || !freopen(output.c_str(), "w", stdout) ||
        dup2(1, 2) < 0) {
      _exit(99);
    }
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    _exit(98);
  }
  ~Life() {
    if (!status_) end();
  }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  /// @return the exit code; 128 + SIGKILL where it was killed before it ended by itself
  int killed(const Kill& kill) {
    if (await(kill)) end();
    return wait();
  }
  int wait() {
    if (!status_) {
      int status = 0;
      waitpid(pid_, &status, 0);
      status_ = status;
    }
    return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
  }
  std::string output() const { return read_file(output_); }

 private:
  using Stamp = std::pair<ino_t, std::int64_t>;

  /// Which last.ckpt is there.
  Stamp stamp() const {
    struct stat found {};
    const fs::path path = directory_ / "checkpoints" / "last.ckpt";
    if (stat(path.c_str(), &found) != 0) return {};
    return {found.st_ino, found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec};
  }
  bool saving() const {
    std::error_code gone;
    for (fs::directory_iterator i(directory_ / "checkpoints", gone), end; !gone && i != end;
         i.increment(gone)) {
      if (i->path().filename().string().find(".tmp-") != std::string::npos) return true;
    }
    return false;
  }
  bool ended() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return status_.has_value();
  }
  /// @return whether it came to this before the process ended
  template <class Condition>
  bool until(const Condition& condition) {
    while (!condition()) {
      if (ended()) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
  }
  bool until_saved(int saves) {
    for (int seen = 0; seen < saves; ++seen) {
      if (!until([&] { return stamp() != last_; })) return false;
      last_ = stamp();
    }
    return true;
  }
  bool await(const Kill& kill) {
    const auto pass = [&] {
      const Clock::time_point end = Clock::now() + kill.delay;
      return until([&] { return Clock::now() >= end; });
    };
    switch (kill.when) {
      case Kill::When::kAfterSave:
        return until_saved(kill.saves) && pass();
      case Kill::When::kWhileSaving:
        return until_saved(kill.saves) && until([&] { return saving(); });
      case Kill::When::kAnyTime:
        return pass();
      case Kill::When::kInTest:
        return until([&] { return fs::exists(directory_ / "predictions" / "val.npy"); }) && pass();
    }
    return false;
  }
  void end() {
    ::kill(-pid_, SIGKILL);
    wait();
  }

  fs::path directory_;
  fs::path output_;
  Stamp last_;
  pid_t pid_ = 0;
  std::optional<int> status_;
};

/// What ModelCheckpoint knows, without the directory that it is in.
std::string checkpoint_state(const tensor::Value& checkpoint) {
  std::string text;
  const auto number = [](const tensor::Value& value) {
    if (value.kind() == tensor::Value::Kind::kNone) return std::string("none");
    return fmt::format("{:.9g}", value.as_tensor().item<float>());
  };
  for (const auto& [key, state] : checkpoint.at("callbacks").entries()) {
    if (!key.as_string().starts_with("ModelCheckpoint")) continue;
    for (const char* name : {"best_model_path", "kth_best_model_path", "last_model_path"}) {
      text += fs::path(state.at(name).as_string()).filename().string() + " ";
    }
    for (const char* name : {"best_model_score", "current_score", "kth_value"}) {
      text += number(state.at(name)) + " ";
    }
    for (const auto& [path, score] : state.at("best_k_models").entries()) {
      text += fs::path(path.as_string()).filename().string() + "=" + number(score) + " ";
    }
  }
  return text;
}

void expect_same_weights(const tensor::Value& mine, const tensor::Value& wanted) {
  const auto& weights = wanted.at("state_dict").entries();
  ASSERT_GT(weights.size(), 4U);
  for (const auto& [key, weight] : weights) {
    const at::Tensor& other = mine.at("state_dict").at(key.as_string()).as_tensor();
    EXPECT_TRUE(at::equal(other, weight.as_tensor())) << key.as_string();
  }
}

class Kills : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = scratch_directory() /
            ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name() /
            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(base_);
    write_corpus(base_);
    const Clock::time_point begin = Clock::now();
    Life life(train("straight", 1), base_ / "runs.db", base_ / "straight.txt", base_ / "straight");
    ASSERT_EQ(life.wait(), 0) << life.output();
    straight_time_ = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    const char* seed = std::getenv("POLYPHONY_KILL_SEED");
    random_.seed(seed != nullptr ? static_cast<unsigned>(std::atoi(seed)) : 13);
  }
  void TearDown() override {
    if (!HasFailure()) fs::remove_all(base_);
  }

  /// The best epoch is the first, so that a run that forgets it tests another.
  std::vector<std::string> train(const std::string& name, int devices,
                                 const std::string& checkpoint = "") const {
    std::vector<std::string> words = {POLYPHONY_BINARY,
                                      "train",
                                      "experiment=fillets/audio",
                                      fmt::format("epochs={}", kEpochs),
                                      "num_threads=1",
                                      "lr=0.01",
                                      "dataset.manifest=" + (base_ / "manifest.csv").string(),
                                      fmt::format("loading.batch_size={}", kBatch),
                                      "hydra.run.dir=" + (base_ / name).string(),
                                      fmt::format("trainer.devices={}", devices),
                                      "trainer.log_every_n_steps=1",
                                      "callbacks.early_stopping=null",
                                      "+callbacks.model_checkpoint.every_n_train_steps=1",
                                      "callbacks.model_checkpoint.monitor=val_loss",
                                      "callbacks.model_checkpoint.mode=max",
                                      "task.model.encoder.dims=16"};
    if (!checkpoint.empty()) words.push_back("ckpt_path=" + checkpoint);
    return words;
  }
  std::vector<std::string> resume(const std::string& name, int devices) const {
    return {POLYPHONY_BINARY, "resume", (base_ / name).string(),
            fmt::format("trainer.devices={}", devices)};
  }

  Kill draw() {
    const auto below = [&](std::int64_t n) {
      return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
    };
    Kill kill;
    const std::int64_t kind = below(10);
    kill.saves = 1 + static_cast<int>(below(kSteps / 2));
    kill.when = kind < 5   ? Kill::When::kAfterSave
                : kind < 7 ? Kill::When::kWhileSaving
                : kind < 9 ? Kill::When::kAnyTime
                           : Kill::When::kInTest;
    // A step with its save, a process's whole life, the predictions and the test.
    const std::int64_t span = kill.when == Kill::When::kAfterSave ? straight_time_.count() / 40
                              : kill.when == Kill::When::kAnyTime ? straight_time_.count()
                                                                  : straight_time_.count() / 20;
    kill.delay = std::chrono::microseconds(below(std::max<std::int64_t>(span, 1)));
    return kill;
  }

  enum class Place { kInPlace, kElsewhere };
  /// One run: killed `kills` times at most, resumed each time, at last let go to its end. Where
  /// there is no checkpoint yet it is begun again.
  struct Chain {
    Place place = Place::kInPlace;
    int kills = 1;
    std::vector<int> devices = {1};  ///< of one life after the other, in turn
  };

  /// @return the name of the directory in which the run ended; "" after a failure
  std::string run(const Chain& chain, const std::string& name) {
    std::string told;
    std::string directory = name;
    std::string checkpoint;
    for (int life_number = 0;; ++life_number) {
      const bool begins = checkpoint.empty() || chain.place == Place::kElsewhere;
      if (begins) directory = fmt::format("{}-{}", name, life_number);
      const int devices =
          chain.devices[static_cast<std::size_t>(life_number) % chain.devices.size()];
      Life life(begins ? train(directory, devices, checkpoint) : resume(directory, devices),
                base_ / "runs.db", base_ / fmt::format("{}-{}.txt", name, life_number),
                base_ / directory);
      std::optional<Kill> kill;
      if (life_number < chain.kills) kill = draw();
      told += kill ? text_of(*kill) + "; " : "";
      const int code = kill ? life.killed(*kill) : life.wait();
      // Killed behind its last record, it was whole.
      const bool whole =
          code == 2 && life.output().find("the run is finished") != std::string::npos;
      if (code == 0 || whole) {
        told_ = told;
        const fs::path own = base_ / directory / "checkpoints" / "last.ckpt";
        last_ = fs::exists(own) ? own : fs::path(checkpoint);
        return directory;
      }
      if (code != 128 + SIGKILL) {
        ADD_FAILURE() << name << ": " << code << " after " << told << "\n" << life.output();
        return "";
      }
      ++done_;
      const fs::path last = base_ / directory / "checkpoints" / "last.ckpt";
      if (fs::exists(last)) checkpoint = last.string();
    }
  }

  void expect_as_straight(const std::string& name) {
    SCOPED_TRACE(fmt::format("{}: killed {}", (base_ / name).string(), told_));
    EXPECT_EQ(read_file(base_ / name / "metrics.csv"),
              read_file(base_ / "straight" / "metrics.csv"));
    for (const char* file : {"predictions/val.npy", "predictions/test.npy"}) {
      ASSERT_TRUE(fs::exists(base_ / name / file)) << file;
      EXPECT_TRUE(read_file(base_ / name / file) == read_file(base_ / "straight" / file)) << file;
    }
    const tensor::Value mine = tensor::load_archive(last_);
    const tensor::Value straight = tensor::load_archive(base_ / "straight/checkpoints/last.ckpt");
    expect_same_weights(mine, straight);
    EXPECT_EQ(checkpoint_state(mine), checkpoint_state(straight));
    EXPECT_EQ(files_of(name), files_of("straight"));
  }

  /// A run whose number of processes changed has steps of its own; what must hold of it.
  void expect_sane(const std::string& name) {
    SCOPED_TRACE(fmt::format("{}: killed {}", (base_ / name).string(), told_));
    const tensor::Value last = tensor::load_archive(last_);
    for (const auto& [key, weight] : last.at("state_dict").entries()) {
      EXPECT_TRUE(at::isfinite(weight.as_tensor()).all().item<bool>()) << key.as_string();
    }
    const CsvTable table = read_csv(base_ / name / "metrics.csv");
    const auto column = [&](const std::string& title) {
      const auto found = std::find(table.header.begin(), table.header.end(), title);
      EXPECT_NE(found, table.header.end()) << title;
      return static_cast<std::size_t>(found - table.header.begin());
    };
    int validations = 0;
    int epochs = 0;
    double step = -1;
    for (const auto& row : table.rows) {
      if (!row.at(column("train_loss")).empty()) {
        EXPECT_EQ(row.at(column("epoch")), std::to_string(epochs++));
      }
      EXPECT_GE(std::stod(row.at(column("step"))), step);
      step = std::stod(row.at(column("step")));
      const std::string& loss = row.at(column("val_loss"));
      if (loss.empty()) continue;
      EXPECT_TRUE(std::isfinite(std::stod(loss))) << loss;
      ++validations;
    }
    EXPECT_EQ(epochs, kEpochs);
    EXPECT_EQ(validations, kEpochs);
    EXPECT_EQ(load_npy(base_ / name / "predictions/test.npy").shape.front(), kTestRows);
  }

  /// The checkpoints beside last.ckpt, which a fit without a step leaves where it is.
  std::vector<std::string> files_of(const std::string& name) const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(base_ / name / "checkpoints")) {
      if (entry.path().filename() != "last.ckpt") files.push_back(entry.path().filename().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  /// Runs of one to four kills each, until so many were done or something is wrong.
  void kill_until(int kills, Chain chain) {
    done_ = 0;
    while (done_ < kills && !HasFailure()) {
      chain.kills = 1 + static_cast<int>(random_() % 4);
      const std::string name = run(chain, fmt::format("run{}", runs_++));
      if (name.empty()) return;
      chain.devices.size() > 1 ? expect_sane(name) : expect_as_straight(name);
    }
    fmt::print("{} kills\n", done_);
  }

  fs::path base_;
  std::chrono::microseconds straight_time_{0};
  std::mt19937_64 random_;
  std::string told_;  ///< when the last run was killed
  fs::path last_;     ///< its last checkpoint
  int done_ = 0;
  int runs_ = 0;
};

int many() {
  const char* wanted = std::getenv("POLYPHONY_KILLS");
  return wanted != nullptr ? std::atoi(wanted) : 25;
}

TEST_F(Kills, AreLostInNoWayOfResuming) {
  kill_until(2, {Place::kInPlace, 1, {1}});
  kill_until(2, {Place::kElsewhere, 1, {1}});
  kill_until(1, {Place::kInPlace, 1, {1, 2}});
  kill_until(1, {Place::kElsewhere, 1, {2, 1}});
}

class KillsSlow : public Kills {};
TEST_F(KillsSlow, ResumedInPlace) { kill_until(many(), {Place::kInPlace, 1, {1}}); }
TEST_F(KillsSlow, ResumedElsewhere) { kill_until(many(), {Place::kElsewhere, 1, {1}}); }
TEST_F(KillsSlow, ResumedOnMoreProcesses) { kill_until(many(), {Place::kInPlace, 1, {1, 2}}); }
TEST_F(KillsSlow, ResumedOnFewerProcesses) { kill_until(many(), {Place::kElsewhere, 1, {2, 1}}); }

}  // namespace
}  // namespace polyphony
