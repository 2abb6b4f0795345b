// What the loops call, when, and how long they run.
#include <algorithm>
#include <filesystem>
#include <limits>

#include <ATen/Context.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/stack.h>
#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/base/error.h>
#include <polyphony/train/loops/results.h>

#include "toy.h"

namespace polyphony::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Notes the hooks that are called.
class Hooks : public Callback {
 public:
  explicit Hooks(std::vector<std::string>& calls) : calls_(calls) {}
  void setup(Trainer&) override { note("setup"); }
  void teardown(Trainer&) override { note("teardown"); }
  void on_fit_start(Trainer&) override { note("fit_start"); }
  void on_fit_end(Trainer&) override { note("fit_end"); }
  void on_exception(Trainer&, const std::exception& error) override {
    note(std::string("exception ") + error.what());
  }
  void on_sanity_check_start(Trainer&) override { note("sanity_start"); }
  void on_sanity_check_end(Trainer&) override { note("sanity_end"); }
  void on_train_start(Trainer&) override { note("train_start"); }
  void on_train_end(Trainer&) override { note("train_end"); }
  void on_train_epoch_start(Trainer&) override { note("train_epoch_start"); }
  void on_train_epoch_end(Trainer&) override { note("train_epoch_end"); }
  void on_train_batch_start(Trainer&, const data::Batch&, std::int64_t) override {
    note("train_batch_start");
  }
  void on_train_batch_end(Trainer&, double, std::int64_t) override { note("train_batch_end"); }
  void on_before_zero_grad(Trainer&, optim::Optimizer&) override { note("before_zero_grad"); }
  void on_before_backward(Trainer&, const at::Tensor&) override { note("before_backward"); }
  void on_after_backward(Trainer&) override { note("after_backward"); }
  void on_before_optimizer_step(Trainer&, optim::Optimizer&) override { note("before_step"); }
  void on_validation_start(Trainer&) override { note("val_start"); }
  void on_validation_end(Trainer&) override { note("val_end"); }
  void on_validation_epoch_start(Trainer&) override { note("val_epoch_start"); }
  void on_validation_epoch_end(Trainer&) override { note("val_epoch_end"); }
  void on_validation_batch_start(Trainer&, const data::Batch&, std::int64_t) override {
    note("val_batch_start");
  }
  void on_validation_batch_end(Trainer&, const data::Batch&, std::int64_t) override {
    note("val_batch_end");
  }

 private:
  void note(std::string call) { calls_.push_back(std::move(call)); }
  std::vector<std::string>& calls_;
};

struct Fit {
  std::vector<std::string> calls;
  std::vector<std::string> lines;
  ToyTask task;
  std::unique_ptr<Trainer> trainer;

  /// Ten rows, in two batches, to train and to validate on.
  explicit Fit(TrainerOptions options, std::unique_ptr<Callback> more = nullptr) {
    TrainerParts parts;
    parts.callbacks.push_back(std::make_unique<Hooks>(calls));
    if (more) parts.callbacks.push_back(std::move(more));
    parts.loggers.push_back(std::make_unique<Lines>(lines));
    trainer = std::make_unique<Trainer>(std::move(options), scratch_directory(), std::move(parts));
    task.optimize_with(toy_optimization());
  }
  void run() {
    const ToyDataset rows(10);
    data::Loader train(rows, toy_loading(true));
    data::Loader val(rows, toy_loading(false));
    trainer->fit(task, train, &val);
  }
};

TEST(FitLoop, CallsHooksInLightningsOrder) {
  TrainerOptions options = quiet(1);
  options.num_sanity_val_steps = 1;
  options.limit_train_batches = Limit::batches(1);
  options.limit_val_batches = Limit::fraction(0.5);
  Fit fit(options);
  fit.run();
  EXPECT_THAT(fit.calls,
              ElementsAre("setup", "fit_start", "sanity_start", "val_start", "val_epoch_start",
                          "val_batch_start", "val_batch_end", "val_epoch_end", "val_end",
                          "sanity_end", "train_start", "train_epoch_start", "train_batch_start",
                          "before_zero_grad", "before_backward", "after_backward", "before_step",
                          "train_batch_end", "val_start", "val_epoch_start", "val_batch_start",
                          "val_batch_end", "val_epoch_end", "val_end", "train_epoch_end",
                          "train_end", "fit_end", "teardown"));
}

TEST(FitLoop, AccumulatesOverBatchesAndStepsAtTheLastOne) {
  TrainerOptions options = quiet(1);
  options.accumulate_grad_batches = 3;  // of two batches
  Fit fit(options);
  fit.run();
  EXPECT_EQ(fit.trainer->global_step(), 1);
  EXPECT_EQ(std::count(fit.calls.begin(), fit.calls.end(), "before_zero_grad"), 1);
  EXPECT_EQ(std::count(fit.calls.begin(), fit.calls.end(), "after_backward"), 2);
}

TEST(FitLoop, EndsAtMaxSteps) {
  TrainerOptions options = quiet(100);
  options.max_steps = 5;
  Fit fit(options);
  fit.run();
  EXPECT_EQ(fit.trainer->global_step(), 5);
  EXPECT_EQ(fit.trainer->estimated_stepping_batches(), 5);
  // The third epoch is broken off before its validation, and still ends.
  EXPECT_EQ(std::count(fit.calls.begin(), fit.calls.end(), "val_end"), 2);
  EXPECT_EQ(std::count(fit.calls.begin(), fit.calls.end(), "train_epoch_end"), 3);
}

TEST(FitLoop, FastDevRunTriesOneBatchOfEachAndSkipsTheSanityCheck) {
  TrainerOptions options;
  options.fast_dev_run.count = 1;
  Fit fit(options);
  fit.run();
  EXPECT_EQ(fit.trainer->global_step(), 1);
  EXPECT_EQ(std::count(fit.calls.begin(), fit.calls.end(), "val_batch_end"), 1);
  EXPECT_EQ(std::count(fit.calls.begin(), fit.calls.end(), "sanity_start"), 0);
}

TEST(FitLoop, ValidatesAsOftenAsItIsTold) {
  const auto validations = [](const std::function<void(TrainerOptions&)>& set) {
    TrainerOptions options = quiet(4);
    set(options);
    Fit fit(options);
    fit.run();
    return std::count(fit.calls.begin(), fit.calls.end(), "val_end");
  };
  EXPECT_EQ(validations([](TrainerOptions&) {}), 4);
  EXPECT_EQ(validations([](TrainerOptions& o) { o.check_val_every_n_epoch = 2; }), 2);
  EXPECT_EQ(validations([](TrainerOptions& o) { o.val_check_interval = Limit::fraction(.5); }), 8);
  EXPECT_EQ(validations([](TrainerOptions& o) {
              o.check_val_every_n_epoch.reset();
              o.val_check_interval = Limit::batches(3);
            }),
            2);
  EXPECT_EQ(validations([](TrainerOptions& o) { o.limit_val_batches = Limit::batches(0); }), 0);
}

/// Asks for a stop in the first epoch.
class StopAtOnce : public Callback {
 public:
  void on_train_epoch_end(Trainer& trainer) override { trainer.request_stop(); }
};

TEST(FitLoop, StopsWhenAskedButNotBeforeMinEpochs) {
  Fit fit(quiet(9), std::make_unique<StopAtOnce>());
  fit.run();
  EXPECT_EQ(fit.trainer->current_epoch(), 1);
  TrainerOptions options = quiet(9);
  options.min_epochs = 3;
  Fit longer(options, std::make_unique<StopAtOnce>());
  longer.run();
  EXPECT_EQ(longer.trainer->current_epoch(), 3);
}

TEST(FitLoop, LogsStepAndEpochValuesUnderLightningsNames) {
  TrainerOptions options = quiet(1);
  options.log_every_n_steps = 2;
  Fit fit(options);
  fit.run();
  ASSERT_EQ(fit.lines.size(), 3U);
  EXPECT_THAT(fit.lines[0], ::testing::StartsWith("0 1 train_loss_step="));  // the second step
  EXPECT_THAT(fit.lines[1], ::testing::StartsWith("0 1 val_loss="));
  EXPECT_THAT(fit.lines[2], ::testing::StartsWith("0 1 train_loss_epoch="));
  EXPECT_THAT(fit.lines[2], HasSubstr("train_right="));
  const MetricValues& metrics = fit.trainer->callback_metrics();
  ASSERT_NE(find_value(metrics, "train_loss"), nullptr);
  EXPECT_EQ(*find_value(metrics, "train_loss"), *find_value(metrics, "train_loss_epoch"));
}

TEST(FitLoop, ASanityCheckChangesNothing) {
  const auto weights_after = [](int sanity_steps) {
    at::manual_seed(1);
    TrainerOptions options = quiet(2);
    options.num_sanity_val_steps = sanity_steps;
    Fit fit(options);
    fit.run();
    return fit.task.weight().detach().clone();
  };
  EXPECT_TRUE(at::equal(weights_after(0), weights_after(2)));
}

TEST(FitLoop, AnErrorReachesTheCallbacksAndTheCaller) {
  Fit fit(quiet(1));
  fit.task.val_value = []() -> double { throw DataError("row 3 is bad"); };
  EXPECT_THROW(fit.run(), DataError);
  EXPECT_EQ(fit.calls.back(), "exception row 3 is bad");
}

TEST(FitLoop, ALossThatIsNotFiniteNamesStepAndRows) {
  Fit fit(quiet(1));
  at::Tensor(fit.task.weight()).detach().fill_(std::numeric_limits<float>::quiet_NaN());
  try {
    fit.run();
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the loss is nan at step 0, rows "));
  }
}

TEST(Trainer, EvaluatesEachRowOnceAndPredictsInDatasetOrder) {
  const ToyDataset rows(13);
  data::Loader loader(rows, toy_loading(false));
  ToyTask task;
  std::vector<std::string> lines;
  TrainerParts parts;
  parts.loggers.push_back(std::make_unique<Lines>(lines));
  Trainer trainer(quiet(1), scratch_directory(), std::move(parts));
  const MetricValues values = trainer.test(task, loader);
  const at::Tensor logits = trainer.predict(task, loader);
  ASSERT_EQ(logits.size(0), 13);
  std::vector<at::Tensor> labels;
  for (std::int64_t i = 0; i < 13; ++i) labels.push_back(rows.get(i).at("label"));
  const double loss = at::cross_entropy_loss(logits, at::stack(labels)).item<double>();
  EXPECT_NEAR(*find_value(values, "test_loss"), loss, 1e-6);
  EXPECT_EQ(lines.size(), 1U);
}

TEST(Trainer, BFloat16StillLearns) {
  TrainerOptions options = quiet(8);
  options.precision = Precision::kBf16;
  Fit fit(options);
  fit.run();
  EXPECT_EQ(fit.task.weight().scalar_type(), at::kFloat);
  EXPECT_LT(fit.trainer->running_loss(), 3.0);
}

TEST(Trainer, GpuOfACpuBuildIsAConfigErrorThatSaysSo) {
  TrainerOptions options = quiet(1);
  options.accelerator = tensor::Accelerator::kGpu;
  try {
    Trainer trainer(options, scratch_directory());
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("built without CUDA"));
    EXPECT_THAT(error.remedy(), HasSubstr("trainer.accelerator=cpu"));
  }
}

TEST(TrainerOptions, ReadNumbersAndSharesOfBatches) {
  Limit limit;
  EXPECT_TRUE(read(config::Node(3), limit));
  EXPECT_EQ(limit.of(10), 3);
  EXPECT_EQ(limit.of(2), 2);
  EXPECT_TRUE(read(config::Node(0.25), limit));
  EXPECT_EQ(limit.of(10), 2);
  EXPECT_FALSE(read(config::Node(1.5), limit));
  Duration duration;
  EXPECT_TRUE(read(config::Node("01:02:03:04"), duration));
  EXPECT_EQ(duration.seconds, 86400 + 2 * 3600 + 3 * 60 + 4);
  EXPECT_FALSE(read(config::Node("02:03:04"), duration));
  Devices devices;
  EXPECT_TRUE(read(config::Node("0,2"), devices));
  EXPECT_THAT(devices.indices, ElementsAre(0, 2));
  EXPECT_FALSE(read(config::Node(0), devices));
}

TEST(Results, ReduceAsTheyAreTold) {
  Results results(/*training=*/true);
  LogOptions options;
  options.on_step = false;
  options.on_epoch = true;
  const auto value_of = [&](ReduceFx fx) {
    options.reduce_fx = fx;
    const std::string name = std::to_string(static_cast<int>(fx));
    results.add("validation_step", name, options, {2.0, 2.0, 3});
    results.add("validation_step", name, options, {4.0, 4.0, 1});
    double found = 0;
    results.visit(false, [&](const Results::View& view) {
      if (view.name == name) found = view.value;
    });
    return found;
  };
  EXPECT_EQ(value_of(ReduceFx::kMean), 2.5);
  EXPECT_EQ(value_of(ReduceFx::kSum), 6.0);
  EXPECT_EQ(value_of(ReduceFx::kMin), 2.0);
  EXPECT_EQ(value_of(ReduceFx::kMax), 4.0);
  options.prog_bar = true;
  EXPECT_THROW(results.add("validation_step", "0", options, {1.0, 1.0, 1}), std::logic_error);
}

}  // namespace
}  // namespace polyphony::train
