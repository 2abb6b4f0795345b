// A fit that is resumed from any checkpoint ends as one that was never stopped, to the bit.
#include <csignal>
#include <filesystem>
#include <set>

#include <ATen/Context.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/base/signals.h>
#include <polyphony/callbacks/early_stopping.h>
#include <polyphony/callbacks/gradient_accumulation_scheduler.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/callbacks/stochastic_weight_averaging.h>
#include <polyphony/optim/plateau.h>

#include "toy.h"

namespace polyphony::train {
namespace {

namespace fs = std::filesystem;

/// One run's settings: the same for the straight and the resumed one.
struct Setting {
  TrainerOptions options = quiet(4);
  std::function<Optimization()> optimization = toy_optimization;
  std::function<void(std::vector<std::unique_ptr<Callback>>&)> more_callbacks;
  callbacks::ModelCheckpointOptions checkpoint;
};

struct Outcome {
  at::Tensor weight;
  std::vector<std::string> lines;
  std::int64_t epochs = 0;
  std::int64_t steps = 0;
};

/// Where the run began to write lines, as the checkpoint knows it.
Outcome run(const Setting& setting, const fs::path& directory, const fs::path& resume = {}) {
  at::manual_seed(resume.empty() ? 5 : 99);  // a resumed run brings its own
  const ToyDataset train_rows(23);
  const ToyDataset val_rows(11);
  data::Loader train(train_rows, toy_loading(true));
  data::Loader val(val_rows, toy_loading(false));
  Outcome outcome;
  TrainerParts parts;
  callbacks::ModelCheckpointOptions checkpoint = setting.checkpoint;
  checkpoint.dirpath = directory.string();
  checkpoint.filename = "{epoch}-{step}";
  checkpoint.save_top_k = -1;
  parts.callbacks.push_back(std::make_unique<callbacks::ModelCheckpoint>(checkpoint));
  if (setting.more_callbacks) setting.more_callbacks(parts.callbacks);
  parts.loggers.push_back(std::make_unique<Lines>(outcome.lines));
  ToyTask task;
  task.optimize_with(setting.optimization());
  Trainer trainer(setting.options, directory, std::move(parts));
  trainer.fit(task, train, &val, resume);
  outcome.weight = task.weight().detach().clone();
  outcome.epochs = trainer.current_epoch();
  outcome.steps = trainer.global_step();
  return outcome;
}

/// Resumes from every checkpoint of a straight run.
void expect_exact(const Setting& setting, std::size_t least) {
  const fs::path base =
      scratch_directory() / ::testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::remove_all(base);
  const Outcome straight = run(setting, base / "straight");
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(base / "straight")) {
    const Outcome resumed = run(setting, base / "resumed" / entry.path().stem(), entry.path());
    const std::string where = entry.path().filename().string();
    EXPECT_TRUE(at::equal(resumed.weight, straight.weight)) << where;
    EXPECT_EQ(resumed.epochs, straight.epochs) << where;
    EXPECT_EQ(resumed.steps, straight.steps) << where;
    ASSERT_LE(resumed.lines.size(), straight.lines.size()) << where;
    const auto begin = straight.lines.end() - static_cast<std::ptrdiff_t>(resumed.lines.size());
    EXPECT_THAT(resumed.lines, ::testing::ElementsAreArray(begin, straight.lines.end())) << where;
    ++count;
  }
  EXPECT_GE(count, least);
}

TEST(Resume, FromTheEndOfEveryEpoch) { expect_exact({}, 4); }

TEST(Resume, FromAfterEveryStep) {
  Setting setting;
  setting.checkpoint.every_n_train_steps = 1;
  expect_exact(setting, 20);
}

TEST(Resume, FromAfterEveryAccumulatedStep) {
  Setting setting;
  setting.options.accumulate_grad_batches = 2;
  setting.checkpoint.train_time_interval = Duration{0};
  expect_exact(setting, 12);
}

TEST(Resume, FromValidationsInMidEpoch) {
  Setting setting;
  setting.options.val_check_interval = Limit::batches(2);
  expect_exact(setting, 8);
}

TEST(Resume, WithAPlateauAndEarlyStopping) {
  Setting setting;
  setting.options = quiet(12);
  setting.optimization = [] {
    Optimization optimization = toy_optimization();
    optim::ReduceLROnPlateauOptions plateau;
    plateau.monitor = "val_loss";
    plateau.patience = 0;
    optimization.schedule = std::make_unique<optim::ReduceLROnPlateau>(plateau);
    return optimization;
  };
  setting.more_callbacks = [](auto& list) {
    callbacks::EarlyStoppingOptions stopping;
    stopping.monitor = "val_loss";
    stopping.patience = 2;
    stopping.min_delta = 0.02;
    list.push_back(std::make_unique<callbacks::EarlyStopping>(stopping));
  };
  expect_exact(setting, 3);
}

TEST(Resume, WithAveragedWeightsAndAccumulationByEpoch) {
  Setting setting;
  setting.options = quiet(6);
  setting.checkpoint.every_n_train_steps = 1;
  setting.more_callbacks = [](auto& list) {
    callbacks::StochasticWeightAveragingOptions swa;
    swa.swa_lrs = 0.01;
    swa.swa_epoch_start = config::Node(0.5);
    swa.annealing_epochs = 2;
    list.push_back(std::make_unique<callbacks::StochasticWeightAveraging>(swa));
    callbacks::GradientAccumulationSchedulerOptions groups;
    groups.scheduling = config::Node::map();
    groups.scheduling.set("2", config::Node(3));
    list.push_back(std::make_unique<callbacks::GradientAccumulationScheduler>(groups));
  };
  expect_exact(setting, 15);
}

/// Asks for a stop after some batches, as the signal's handler does.
class StopAfter : public Callback {
 public:
  explicit StopAfter(std::int64_t batches) : left_(batches) {}
  void on_train_batch_end(Trainer&, double, std::int64_t) override {
    if (--left_ == 0) StopSignals::request(SIGTERM);
  }

 private:
  std::int64_t left_;
};

void expect_exact_after_termination(int accumulate) {
  const fs::path base = scratch_directory() / ("terminated" + std::to_string(accumulate));
  Setting setting;
  setting.options.accumulate_grad_batches = accumulate;
  const Outcome straight = run(setting, base / "straight");
  for (std::int64_t batch = 1; batch <= 19; ++batch) {
    const fs::path directory = base / std::to_string(batch);
    Setting stopped = setting;
    stopped.more_callbacks = [&](auto& list) {
      list.push_back(std::make_unique<StopAfter>(batch));
    };
    try {
      run(stopped, directory);
      FAIL() << "not stopped at batch " << batch;
    } catch (const Interrupted& stop) {
      EXPECT_EQ(stop.exit_code(), ExitCode::kTerminated);
      const Outcome resumed = run(setting, directory / "resumed", stop.checkpoint());
      EXPECT_TRUE(at::equal(resumed.weight, straight.weight)) << batch;
      EXPECT_EQ(resumed.lines.back(), straight.lines.back()) << batch;
    }
  }
}

TEST(Resume, AfterATerminationAtAnyBatch) { expect_exact_after_termination(1); }

TEST(Resume, AfterATerminationInsideAnAccumulatedStep) { expect_exact_after_termination(2); }

/// Asks for a stop in one of the validation batches, and spoils what it can reach. The random
/// stream moves on in every validation, as that of a task with sampling in it does.
class StopInValidation : public Callback {
 public:
  explicit StopInValidation(std::int64_t batches) : left_(batches) {}
  void on_validation_batch_start(Trainer&, const data::Batch&, std::int64_t) override {
    at::rand({1});
    ++seen_;
    if (--left_ == 0) StopSignals::request(SIGHUP);
  }
  std::string state_key() const override { return "StopInValidation"; }
  tensor::Value state_dict() const override { return tensor::Value(seen_); }
  void load_state_dict(const tensor::Value& state) override { seen_ = state.as_int(); }
  std::int64_t seen() const { return seen_; }

 private:
  std::int64_t left_;
  std::int64_t seen_ = 0;
};

/// A run that validates twice an epoch. @return how many validation batches it counts
std::int64_t run_validating(std::int64_t stop_at, const fs::path& directory, const fs::path& resume,
                            Outcome& outcome, int sanity = 0) {
  Setting setting;
  setting.options.val_check_interval = Limit::batches(2);
  setting.options.num_sanity_val_steps = sanity;
  const StopInValidation* counter = nullptr;
  std::int64_t seen = 0;
  setting.more_callbacks = [&](auto& list) {
    auto made = std::make_unique<StopInValidation>(stop_at);
    counter = made.get();
    list.push_back(std::move(made));
  };
  class Count : public Callback {
   public:
    Count(const StopInValidation*& counter, std::int64_t& seen) : counter_(counter), seen_(seen) {}
    void on_fit_end(Trainer&) override { seen_ = counter_->seen(); }

   private:
    const StopInValidation*& counter_;
    std::int64_t& seen_;
  };
  const auto more = setting.more_callbacks;
  setting.more_callbacks = [&](auto& list) {
    more(list);
    list.push_back(std::make_unique<Count>(counter, seen));
  };
  outcome = run(setting, directory, resume);
  return seen;
}

TEST(Resume, AfterAStopInAnyBatchOfAValidation) {
  const fs::path base = scratch_directory() / "stopped-in-validation";
  fs::remove_all(base);
  Outcome straight;
  const std::int64_t batches = run_validating(0, base / "straight", {}, straight);
  ASSERT_EQ(batches, 8 * 3);  // 4 epochs, 2 validations each, 11 rows by 5
  int stopped = 0;
  for (std::int64_t batch = 1; batch <= batches; ++batch) {
    const fs::path directory = base / std::to_string(batch);
    Outcome resumed;
    std::int64_t seen = 0;
    try {
      seen = run_validating(batch, directory, {}, resumed);
    } catch (const Interrupted& stop) {
      ++stopped;
      EXPECT_EQ(static_cast<int>(stop.exit_code()), 129);
      EXPECT_EQ(stop.signal_number(), SIGHUP);
      seen = run_validating(0, directory / "resumed", stop.checkpoint(), resumed);
    }
    EXPECT_TRUE(at::equal(resumed.weight, straight.weight)) << batch;
    EXPECT_EQ(seen, batches) << batch;
    EXPECT_EQ(resumed.lines.back(), straight.lines.back()) << batch;
    const auto begin = straight.lines.end() - static_cast<std::ptrdiff_t>(resumed.lines.size());
    EXPECT_THAT(resumed.lines, ::testing::ElementsAreArray(begin, straight.lines.end())) << batch;
  }
  EXPECT_EQ(stopped, batches);
}

TEST(Resume, AfterAStopInTheSanityCheck) {
  const fs::path base = scratch_directory() / "stopped-in-sanity-check";
  fs::remove_all(base);
  Outcome straight;
  const std::int64_t batches = run_validating(0, base / "straight", {}, straight, 2);
  Outcome resumed;
  for (const int batch : {1, 2}) {
    const fs::path directory = base / std::to_string(batch);
    try {
      run_validating(batch, directory, {}, resumed, 2);
      FAIL() << "not stopped";
    } catch (const Interrupted& stop) {
      // A resumed fit has no sanity check, and so does not see its two batches.
      EXPECT_EQ(run_validating(0, directory / "resumed", stop.checkpoint(), resumed, 2),
                batches - (batch == 1 ? 2 : 0));
    }
    EXPECT_TRUE(at::equal(resumed.weight, straight.weight)) << batch;
    EXPECT_EQ(resumed.lines, straight.lines) << batch;
  }
}

TEST(Resume, AStopBeforeTheFirstStepIsNotLost) {
  const fs::path base = scratch_directory() / "stopped-before";
  fs::remove_all(base);
  const Outcome straight = run({}, base / "straight");
  const StopSignals signals;
  raise(SIGTERM);
  try {
    run({}, base / "stopped");
    FAIL() << "not stopped";
  } catch (const Interrupted& stop) {
    EXPECT_EQ(stop.exit_code(), ExitCode::kTerminated);
    StopSignals::forget();
    const Outcome resumed = run({}, base / "resumed", stop.checkpoint());
    EXPECT_TRUE(at::equal(resumed.weight, straight.weight));
    EXPECT_EQ(resumed.lines, straight.lines);
  }
}

TEST(Resume, AStopAfterTheLastStepChangesNothing) {
  const fs::path base = scratch_directory() / "stopped-after";
  fs::remove_all(base);
  const Outcome straight = run({}, base / "straight");
  class AtTheEnd : public Callback {
    void on_train_end(Trainer&) override { StopSignals::request(SIGTERM); }
  };
  Setting setting;
  setting.more_callbacks = [](auto& list) { list.push_back(std::make_unique<AtTheEnd>()); };
  const Outcome stopped = run(setting, base / "stopped");
  EXPECT_TRUE(at::equal(stopped.weight, straight.weight));
}

TEST(Stop, OfATestOrAPredictionIsWithinABatch) {
  const ToyDataset rows(23);
  data::Loader loader(rows, toy_loading(false));
  class AtSecondBatch : public Callback {
   public:
    explicit AtSecondBatch(int& batches) : batches_(batches) {}
    void on_test_batch_start(Trainer&, const data::Batch&, std::int64_t index) override {
      count(index);
    }
    void on_predict_batch_start(Trainer&, const data::Batch&, std::int64_t index) override {
      count(index);
    }

   private:
    void count(std::int64_t index) {
      batches_ = static_cast<int>(index) + 1;
      if (index == 1) StopSignals::request(SIGINT);
    }
    int& batches_;
  };
  int batches = 0;
  TrainerParts parts;
  parts.callbacks.push_back(std::make_unique<AtSecondBatch>(batches));
  Trainer trainer(quiet(1), scratch_directory() / "stopped-test", std::move(parts));
  ToyTask task;
  for (const bool testing : {true, false}) {
    const StopSignals signals;
    batches = 0;
    try {
      testing ? void(trainer.test(task, loader)) : void(trainer.predict(task, loader));
      FAIL() << "not stopped";
    } catch (const Interrupted& stop) {
      EXPECT_EQ(stop.exit_code(), ExitCode::kInterrupted);
      EXPECT_TRUE(stop.checkpoint().empty());
    }
    EXPECT_EQ(batches, 2);
  }
}

}  // namespace
}  // namespace polyphony::train
