// A fit that fails anywhere leaves its last completed step in exception.ckpt, from which it ends as
// one that never failed, to the bit.
#include <csignal>
#include <cstring>
#include <filesystem>
#include <new>

#include <ATen/ops/equal.h>
#include <ATen/ops/mean.h>
#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/callbacks/early_stopping.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/callbacks/stochastic_weight_averaging.h>
#include <polyphony/optim/plateau.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/train/checkpoint.h>

#include "toy.h"

namespace polyphony::train {
namespace {

namespace fs = std::filesystem;
using tensor::Value;
using ::testing::HasSubstr;

/// When something fails: at its n-th call.
struct Trigger {
  std::int64_t at = -1;
  std::int64_t calls = 0;
  void pull() {
    if (++calls == at) throw DataError("on purpose", "write it again");
  }
};

/// A toy task with a running mean, which a step that fails has changed already.
class Running : public ToyTask {
 public:
  explicit Running(Trigger& trigger) : trigger_(trigger) {}
  at::Tensor training_step(const data::Batch& batch, std::int64_t index) override {
    // As batch normalisation's kernels: LibTorch does not see it.
    const float mean = batch.at("x").mean().item<float>();
    float* running = running_.data_ptr<float>();
    running[0] = 0.9F * running[0] + 0.1F * mean;
    const at::Tensor loss = ToyTask::training_step(batch, index);
    trigger_.pull();
    return loss;
  }
  NamedTensors state() const override {
    NamedTensors state = ToyTask::state();
    state.emplace_back("running", running_);
    return state;
  }
  void load_state(const NamedTensors& from, const std::string& source) override {
    ToyTask::load_state(from, source);
    running_.copy_(from.at(2).second);
  }
  const at::Tensor& running() const { return running_; }

 private:
  Trigger& trigger_;
  at::Tensor running_ = at::zeros({1});
};

/// Counts the hooks that it sees, as its state, and fails in one of them.
class Stumbling : public Callback {
 public:
  Stumbling(Trigger& trigger, bool last) : trigger_(trigger), last_(last) {}
  bool saves_checkpoints() const override { return last_; }
  std::string state_key() const override { return "Stumbling"; }
  Value state_dict() const override { return Value(seen_); }
  void load_state_dict(const Value& state) override { seen_ = state.as_int(); }
  void on_train_epoch_start(Trainer&) override { see(); }
  void on_train_epoch_end(Trainer&) override { see(); }
  void on_train_batch_start(Trainer&, const data::Batch&, std::int64_t) override { see(); }
  void on_train_batch_end(Trainer&, double loss, std::int64_t) override {
    losses_ += loss;
    see();
  }
  void on_before_zero_grad(Trainer&, optim::Optimizer&) override { see(); }
  void on_before_backward(Trainer&, const at::Tensor&) override { see(); }
  void on_after_backward(Trainer&) override { see(); }
  void on_before_optimizer_step(Trainer&, optim::Optimizer&) override { see(); }
  void on_validation_start(Trainer&) override { see(); }
  void on_validation_end(Trainer&) override { see(); }
  void on_validation_epoch_end(Trainer& trainer) override {
    trainer.log("seen", static_cast<double>(seen_));
    see();
  }
  void on_validation_batch_end(Trainer&, const data::Batch&, std::int64_t) override { see(); }
  std::int64_t seen() const { return seen_; }

 private:
  void see() {
    ++seen_;
    trigger_.pull();
  }
  Trigger& trigger_;
  bool last_;
  std::int64_t seen_ = 0;
  double losses_ = 0;
};

/// Lines whose number is its state, and which fails at a row.
class Rows : public Lines {
 public:
  Rows(std::vector<std::string>& lines, Trigger& trigger) : Lines(lines), trigger_(trigger) {}
  void log_metrics(const MetricValues& values, std::int64_t step, std::int64_t epoch) override {
    Lines::log_metrics(values, step, epoch);
    ++rows_;
    trigger_.pull();
  }
  Value state_dict() const override { return Value(rows_); }
  Value state_dict_before(std::int64_t newest) const override { return Value(rows_ - newest); }
  void load_state_dict(const Value& state) override { rows_ = state.as_int(); }
  std::int64_t rows() const { return rows_; }

 private:
  Trigger& trigger_;
  std::int64_t rows_ = 0;
};

class BrokenRows : public ToyDataset {
 public:
  BrokenRows(std::int64_t rows, Trigger& trigger) : ToyDataset(rows), trigger_(trigger) {}
  data::Item get(std::int64_t index) const override {
    trigger_.pull();
    return ToyDataset::get(index);
  }

 private:
  Trigger& trigger_;
};

/// What fails in a run; nothing by default.
struct Faults {
  Trigger task;
  Trigger hook;
  Trigger logger;
  Trigger row;
};

struct Setting {
  TrainerOptions options = quiet(3);
  std::function<Optimization()> optimization = toy_optimization;
  bool stumbles_last = false;
  bool averages = false;
  callbacks::ModelCheckpointOptions checkpoint = [] {
    callbacks::ModelCheckpointOptions best;
    best.monitor = "val_loss";
    best.save_last = true;
    best.save_top_k = 2;
    return best;
  }();
};

struct Outcome {
  at::Tensor weight;
  at::Tensor running;
  std::vector<std::string> lines;
  std::int64_t rows = 0;
  std::int64_t steps = 0;
  std::int64_t seen = 0;
  float best_score = 0;
};

Outcome run(const Setting& setting, Faults& faults, const fs::path& directory,
            const fs::path& resume = {}) {
  at::manual_seed(resume.empty() ? 5 : 99);
  const BrokenRows train_rows(17, faults.row);
  const ToyDataset val_rows(6);
  data::Loader train(train_rows, toy_loading(true));
  data::Loader val(val_rows, toy_loading(false));
  Outcome outcome;
  TrainerParts parts;
  auto checkpoint = std::make_unique<callbacks::ModelCheckpoint>(setting.checkpoint);
  const callbacks::ModelCheckpoint& saved = *checkpoint;
  parts.callbacks.push_back(std::move(checkpoint));
  auto stumbling = std::make_unique<Stumbling>(faults.hook, setting.stumbles_last);
  const Stumbling& seen = *stumbling;
  parts.callbacks.push_back(std::move(stumbling));
  callbacks::EarlyStoppingOptions stopping;
  stopping.monitor = "val_loss";
  stopping.patience = 2;
  parts.callbacks.push_back(std::make_unique<callbacks::EarlyStopping>(stopping));
  if (setting.averages) {
    callbacks::StochasticWeightAveragingOptions swa;
    swa.swa_lrs = 0.01;
    swa.swa_epoch_start = config::Node(2);
    parts.callbacks.push_back(std::make_unique<callbacks::StochasticWeightAveraging>(swa));
  }
  auto logger = std::make_unique<Rows>(outcome.lines, faults.logger);
  const Rows& rows = *logger;
  parts.loggers.push_back(std::move(logger));
  Running task(faults.task);
  task.optimize_with(setting.optimization());
  Trainer trainer(setting.options, directory, std::move(parts));
  trainer.fit(task, train, &val, resume);
  outcome.weight = task.weight().detach().clone();
  outcome.running = task.running().clone();
  outcome.rows = rows.rows();
  outcome.steps = trainer.global_step();
  outcome.seen = seen.seen();
  outcome.best_score = saved.best_score().value_or(0);
  return outcome;
}

void expect_same(const Outcome& resumed, const Outcome& straight, const std::string& where) {
  EXPECT_TRUE(at::equal(resumed.weight, straight.weight)) << where;
  EXPECT_TRUE(at::equal(resumed.running, straight.running)) << where;
  EXPECT_EQ(resumed.steps, straight.steps) << where;
  EXPECT_EQ(resumed.rows, straight.rows) << where;
  EXPECT_EQ(resumed.seen, straight.seen) << where;
  EXPECT_EQ(resumed.best_score, straight.best_score) << where;
  ASSERT_LE(resumed.lines.size(), straight.lines.size()) << where;
  const auto begin = straight.lines.end() - static_cast<std::ptrdiff_t>(resumed.lines.size());
  EXPECT_THAT(resumed.lines, ::testing::ElementsAreArray(begin, straight.lines.end())) << where;
}

/// Fails at every `stride`-th call of what `fault` names, and goes on from what that leaves, in the
/// same directory and in another.
void expect_exact(const Setting& setting, Trigger Faults::*fault, std::int64_t stride = 1) {
  const fs::path base =
      scratch_directory() / ::testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::remove_all(base);
  Faults none;
  const Outcome straight = run(setting, none, base / "straight");
  const std::int64_t calls = (none.*fault).calls;
  ASSERT_GT(calls, 5);
  int resumed = 0;
  for (std::int64_t at = 1; at <= calls; at += stride) {
    const std::string where = std::to_string(at);
    const fs::path directory = base / where;
    const fs::path saved = directory / "checkpoints" / "exception.ckpt";
    Faults faults;
    (faults.*fault).at = at;
    try {
      run(setting, faults, directory);
      FAIL() << where << ": did not fail";
    } catch (const DataError& error) {
      EXPECT_STREQ(error.what(), "on purpose\n  write it again") << where;
    }
    if (!fs::exists(saved)) {  // before the first step was done
      EXPECT_EQ(resumed, 0) << where;
      continue;
    }
    ++resumed;
    Faults mended;
    expect_same(run(setting, mended, directory / "elsewhere", saved), straight, where);
    expect_same(run(setting, mended, directory, saved), straight, where + " in place");
    EXPECT_FALSE(fs::exists(directory / "checkpoints" / "last-v1.ckpt")) << where;
    EXPECT_FALSE(fs::exists(directory / "checkpoints" / "exception-v1.ckpt")) << where;
  }
  EXPECT_GT(resumed, 3);
}

TEST(Failure, InAnyHook) { expect_exact({}, &Faults::hook, 2); }

TEST(Failure, InAnyHookBehindTheCheckpoints) {
  Setting setting;
  setting.stumbles_last = true;
  expect_exact(setting, &Faults::hook, 5);
}

TEST(Failure, InsideAnAccumulatedStep) {
  Setting setting;
  setting.options.accumulate_grad_batches = 3;  // of four batches: the last group is smaller
  expect_exact(setting, &Faults::hook, 5);
}

TEST(Failure, WithAPlateauAfterValidationsInMidEpoch) {
  Setting setting;
  setting.options.val_check_interval = Limit::batches(2);
  setting.optimization = [] {
    Optimization optimization = toy_optimization();
    optim::ReduceLROnPlateauOptions plateau;
    plateau.monitor = "val_loss";
    plateau.patience = 0;
    plateau.interval = optim::Interval::kStep;
    plateau.frequency = 2;
    optimization.schedule = std::make_unique<optim::ReduceLROnPlateau>(plateau);
    return optimization;
  };
  expect_exact(setting, &Faults::hook, 5);
}

TEST(Failure, WithAScheduleByEpochAndAveragedWeights) {
  Setting setting;
  setting.averages = true;
  setting.optimization = [] {
    Optimization optimization = toy_optimization();
    optim::ExponentialLROptions decay;
    decay.gamma = 0.5;
    optimization.schedule = std::make_unique<optim::ExponentialLR>(decay);
    return optimization;
  };
  expect_exact(setting, &Faults::hook, 5);
}

TEST(Failure, InAnyTrainingStep) { expect_exact({}, &Faults::task); }

TEST(Failure, InAnyRowOfTheLog) { expect_exact({}, &Faults::logger); }

TEST(Failure, InAnyRowOfTheData) { expect_exact({}, &Faults::row, 3); }

/// OneCycleLR whose total_steps is less than the run has.
TEST(Failure, InTheSchedule) {
  const fs::path base = scratch_directory() / "failing-schedule";
  fs::remove_all(base);
  const auto setting = [](std::int64_t total) {
    Setting made;
    made.optimization = [total] {
      Optimization optimization = toy_optimization();
      optim::OneCycleLROptions cycle;
      cycle.max_lr = 0.05;
      if (total > 0) cycle.total_steps = total;
      optimization.schedule = std::make_unique<optim::OneCycleLR>(cycle);
      return optimization;
    };
    return made;
  };
  Faults none;
  const Outcome straight = run(setting(12), none, base / "straight");
  EXPECT_EQ(straight.steps, 12);
  run(setting(0), none, base / "of-the-run");  // four batches in three epochs: all of them
  EXPECT_THROW(run(setting(11), none, base / "short"), ConfigError);
  const fs::path saved = base / "short" / "checkpoints" / "exception.ckpt";
  EXPECT_EQ(tensor::load_archive(saved).at("global_step").as_int(), 12);
  // A schedule has its own past; what is asked of the resumed one is that it ends.
  EXPECT_EQ(run(setting(12), none, base / "longer", saved).steps, 12);
}

TEST(Failure, WhileSavingACheckpoint) {
  const fs::path base = scratch_directory() / "failing-save";
  fs::remove_all(base);
  Setting setting;
  setting.checkpoint.filename = "sub/{epoch}";
  Faults none;
  const Outcome straight = run(setting, none, base / "straight");
  write_file(base / "full" / "checkpoints" / "sub", "no directory");
  EXPECT_THROW(run(setting, none, base / "full"), IoError);
  fs::remove(base / "full" / "checkpoints" / "sub");
  const fs::path saved = base / "full" / "checkpoints" / "exception.ckpt";
  expect_same(run(setting, none, base / "full", saved), straight, "mended");
  EXPECT_TRUE(fs::exists(base / "full" / "checkpoints" / "last.ckpt"));
}

/// Throws what it is given, once, in a later batch.
template <class Error>
class Throwing : public Callback {
 public:
  void on_train_batch_start(Trainer& trainer, const data::Batch&, std::int64_t) override {
    if (trainer.global_step() == 2) throw Error();
  }
  void on_exception(Trainer&, const std::exception&) override {
    throw std::runtime_error("not this one");
  }
};

template <class Error>
void expect_goes_on(TrainerOptions options, bool saved) {
  const fs::path root = scratch_directory() / "thrown";
  fs::remove_all(root);
  const ToyDataset rows(17);
  data::Loader train(rows, toy_loading(true));
  TrainerParts parts;
  parts.callbacks.push_back(std::make_unique<Throwing<Error>>());
  parts.resume_key = "+resume_from";
  ToyTask task;
  task.optimize_with(toy_optimization());
  Trainer trainer(std::move(options), root, std::move(parts));
  ::testing::internal::CaptureStderr();
  EXPECT_THROW(trainer.fit(task, train), Error);  // not what on_exception threw
  const std::string told = ::testing::internal::GetCapturedStderr();
  const fs::path path = root / "checkpoints" / "exception.ckpt";
  EXPECT_EQ(fs::exists(path), saved);
  if (saved) {
    EXPECT_THAT(told, HasSubstr("up to step 2"));
    EXPECT_THAT(told, HasSubstr("+resume_from=" + path.string()));
  }
}

TEST(Failure, OfAnyKindIsTheOneThatIsThrown) {
  expect_goes_on<std::bad_alloc>(quiet(3), true);
  TrainerOptions without = quiet(3);
  without.enable_checkpointing = false;
  expect_goes_on<std::bad_alloc>(without, false);
}

TEST(Failure, ThatCannotBeSavedIsToldBesideTheError) {
  const fs::path root = scratch_directory() / "unwritable";
  fs::remove_all(root);
  write_file(root / "checkpoints", "no directory");
  const ToyDataset rows(17);
  data::Loader train(rows, toy_loading(true));
  TrainerParts parts;
  parts.callbacks.push_back(std::make_unique<Throwing<std::bad_alloc>>());
  ToyTask task;
  task.optimize_with(toy_optimization());
  Trainer trainer(quiet(3), root, std::move(parts));
  ::testing::internal::CaptureStderr();
  EXPECT_THROW(trainer.fit(task, train), std::bad_alloc);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("saving the last completed step failed too"));
}

}  // namespace
}  // namespace polyphony::train
