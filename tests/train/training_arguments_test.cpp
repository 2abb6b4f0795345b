#include <polyphony/train/training_arguments.h>

#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::train {
namespace {

using ::testing::HasSubstr;

/// As the original's tree writes it, with more lines.
std::unique_ptr<TrainingArguments> arguments(const std::string& more = "") {
  return config::build<TrainingArguments>(
      config::parse_yaml("_target_: transformers.TrainingArguments\noutput_dir: out\n" + more,
                         "test"),
      "training_arguments");
}

const char* const kOriginals =
    "evaluation_strategy: epoch\nsave_strategy: epoch\nlearning_rate: 2e-5\n"
    "per_device_train_batch_size: 32\nper_device_eval_batch_size: 32\nnum_train_epochs: 5\n"
    "weight_decay: 1e-2\nload_best_model_at_end: True\nmetric_for_best_model: accuracy\n"
    "greater_is_better: True\nreport_to: wandb\nrun_name: any\nseed : 2024\n";

std::string message(const std::string& more) {
  try {
    arguments(more);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainingArguments, TheOriginalsOptionsAreTakenAsTheyAre) {
  const auto a = arguments(kOriginals);
  EXPECT_EQ(a->evaluation(), IntervalStrategy::kEpoch);
  EXPECT_EQ(a->best_metric(), "eval_accuracy");
  EXPECT_TRUE(a->greater_is_better());
  const TrainerOptions trainer = a->trainer_options(206);
  EXPECT_EQ(trainer.max_epochs, 5);
  EXPECT_EQ(trainer.max_steps, 1030);
  EXPECT_EQ(trainer.gradient_clip_val, 1.0);
  EXPECT_EQ(trainer.accumulate_grad_batches, 1);
}

TEST(TrainingArguments, DefaultsAreThoseOfTransformers) {
  const auto a = arguments();
  EXPECT_EQ(a->evaluation(), IntervalStrategy::kNo);
  EXPECT_EQ(a->best_metric(), "eval_loss");
  EXPECT_FALSE(a->greater_is_better());
  EXPECT_EQ(a->options().learning_rate, 5e-5);
  EXPECT_EQ(a->options().per_device_train_batch_size, 8);
  EXPECT_EQ(a->options().seed, 42);
  EXPECT_EQ(a->total_steps(10), 30);
}

TEST(TrainingArguments, StepsFollowEpochsAccumulationAndTheirLimit) {
  EXPECT_EQ(arguments("num_train_epochs: 2\ngradient_accumulation_steps: 4\n")->total_steps(10), 6);
  EXPECT_EQ(arguments("num_train_epochs: 0.5\n")->total_steps(11), 6);
  const auto limited = arguments("max_steps: 25\n");
  EXPECT_EQ(limited->total_steps(10), 25);
  EXPECT_EQ(limited->trainer_options(10).max_epochs, 3);
  EXPECT_EQ(arguments("max_steps: 4\n")->trainer_options(10).limit_train_batches.of(10), 4);
}

TEST(TrainingArguments, HalfPrecisionIsBf16OnTheProcessor) {
  EXPECT_THAT(message("fp16: true\nbf16: true\n"), HasSubstr("fp16"));
  EXPECT_EQ(arguments("fp16: true\nuse_cpu: true\n")->trainer_options(3).precision,
            Precision::kBf16);
}

TEST(TrainingArguments, ReportToIsANameAListAllOrNone) {
  using ::testing::ElementsAre;
  EXPECT_THAT(arguments(kOriginals)->reporters(), ElementsAre("wandb"));
  EXPECT_THAT(arguments("report_to: [mlflow, wandb]\n")->reporters(),
              ElementsAre("mlflow", "wandb"));
  EXPECT_THAT(arguments("report_to: all\n")->reporters(),
              ElementsAre("wandb", "tensorboard", "mlflow"));
  for (const char* none : {"", "report_to: none\n", "report_to: []\n", "report_to: null\n"}) {
    EXPECT_TRUE(arguments(none)->reporters().empty()) << none;
  }
  EXPECT_THAT(message("report_to: comet_ml\n"), HasSubstr("report_to: comet_ml"));
  EXPECT_THAT(message("report_to: [wandb, 3]\n"), HasSubstr("neither a name nor a list"));
}

TEST(TrainingArguments, WhatTransformersRefusesIsRefused) {
  EXPECT_THAT(message("load_best_model_at_end: true\nevaluation_strategy: epoch\n"),
              HasSubstr("evaluation by epoch and saving by steps"));
  EXPECT_THAT(message("load_best_model_at_end: true\nsave_strategy: 'no'\n"),
              HasSubstr("without evaluation"));
  EXPECT_THAT(message("load_best_model_at_end: true\nevaluation_strategy: steps\n"
                      "save_strategy: steps\neval_steps: 300\n"),
              HasSubstr("no multiple of eval_steps"));
  EXPECT_THAT(message("evaluation_strategy: epoch\neval_strategy: steps\n"), HasSubstr("differ"));
  EXPECT_THAT(message("learning_rat: 1\n"), HasSubstr("learning_rate"));
}

/// Rates of the first steps of a run of `steps`.
std::vector<double> rates(const std::string& more, std::int64_t steps) {
  const auto a = arguments("learning_rate: 1.0\n" + more);
  optim::ParamGroup group;
  group.lr = 1.0;
  group.parameters = {{"w", at::tensor({1.0F})}};
  const auto optimizer = a->make_optimizer({group});
  const auto schedule = a->make_schedule(steps);
  schedule->attach(*optimizer, steps);
  std::vector<double> seen;
  for (std::int64_t i = 0; i < steps; ++i) {
    seen.push_back(optimizer->groups()[0].lr);
    schedule->step();
  }
  return seen;
}

TEST(TrainingArguments, TheRateFallsInALineWithoutWarmup) {
  EXPECT_THAT(rates("", 4), ::testing::ElementsAre(1.0, 0.75, 0.5, 0.25));
}

TEST(TrainingArguments, WarmupAndConstantRates) {
  EXPECT_THAT(rates("warmup_ratio: 0.3\n", 5),  // ceil(1.5) steps
              ::testing::ElementsAre(0.0, 0.5, 1.0, ::testing::DoubleNear(2.0 / 3, 1e-12),
                                     ::testing::DoubleNear(1.0 / 3, 1e-12)));
  EXPECT_THAT(rates("lr_scheduler_type: constant\nwarmup_steps: 2\n", 3),
              ::testing::ElementsAre(1.0, 1.0, 1.0));
  EXPECT_THAT(rates("lr_scheduler_type: constant_with_warmup\nwarmup_steps: 2\n", 3),
              ::testing::ElementsAre(0.0, 0.5, 1.0));
}

}  // namespace
}  // namespace polyphony::train
