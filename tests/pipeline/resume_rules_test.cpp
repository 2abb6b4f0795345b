#include <polyphony/pipeline/resume_rules.h>

#include <gmock/gmock.h>

#include <polyphony/pipeline/options.h>

namespace polyphony::pipeline {
namespace {

std::vector<config::FieldDoc> docs() {
  config::Fields fields;
  ExperimentOptions{}.describe(fields);
  return fields.docs();
}

Verdict verdict(const std::string& key, const std::string& callback = "") {
  Leaves leaves;
  if (!callback.empty()) leaves = {{"callbacks.one._target_", callback}};
  return verdict_on(key, leaves, leaves);
}

TEST(ResumeRules, WhatChangesHowARunIsWatchedIsTold) {
  for (const char* key :
       {"trainer.max_epochs", "trainer.devices", "trainer.num_nodes", "trainer.default_root_dir",
        "trainer.val_check_interval", "run_name", "num_threads", "logger.wandb.project",
        "recording.tags.0", "loading.workers", "split.test", "training_arguments.output_dir"}) {
    EXPECT_EQ(verdict(key), Verdict::kTold) << key;
  }
}

TEST(ResumeRules, WhatChangesWhatIsLearntIsRefusedAndSoIsWhatNoRuleKnows) {
  for (const char* key :
       {"seed", "loading.batch_size", "loading.length_buckets", "optimizer._target_",
        "optimizer.lr", "schedule.warmup_ratio", "task.model.dropout", "dataset.inputs.0",
        "trainer.precision", "trainer.accumulate_grad_batches", "trainer.gradient_clip_val",
        "trainer.limit_train_batches", "split.train", "split.val", "embeddings.layer",
        "training_arguments.learning_rate", "batch_size", "architecture.lr", "something.new"}) {
    EXPECT_EQ(verdict(key), Verdict::kRefused) << key;
  }
}

TEST(ResumeRules, CallbacksAreToldWhereTheyWatch) {
  EXPECT_EQ(verdict("callbacks.one.patience", "polyphony.callbacks.EarlyStopping"), Verdict::kTold);
  EXPECT_EQ(verdict("callbacks.one.save_top_k", "lightning.pytorch.callbacks.ModelCheckpoint"),
            Verdict::kTold);
  EXPECT_EQ(
      verdict("callbacks.one.scheduling.4", "polyphony.callbacks.GradientAccumulationScheduler"),
      Verdict::kRefused);
  EXPECT_EQ(
      verdict("callbacks.one.swa_lrs", "pytorch_lightning.callbacks.StochasticWeightAveraging"),
      Verdict::kRefused);
  EXPECT_EQ(verdict("callbacks.one.anything", "mine.Callback"), Verdict::kTold);
  EXPECT_EQ(verdict("callbacks.two"), Verdict::kTold);  // one that is null
}

TEST(ResumeRules, AnOptionThatIsGivenWithItsDefaultHasNotChanged) {
  const Leaves before = {{"optimizer._target_", "polyphony.optim.AdamW"}, {"optimizer.lr", "1e-3"}};
  Leaves now = before;
  now[1].second = "0.001";
  now.emplace_back("optimizer.amsgrad_of_mine", "true");
  now.emplace_back("loading.length_buckets", "0");
  now.emplace_back("optimizer.eps", "1e-8");
  const std::vector<Change> changes = changes_between(before, now, docs());
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].text(), "optimizer.amsgrad_of_mine: true instead of not given");
}

TEST(ResumeRules, DataPathsAreNotColumnsOrPretrainedModels) {
  EXPECT_EQ(verdict("dataset.manifest"), Verdict::kTold);
  EXPECT_EQ(verdict("dataset.data_path"), Verdict::kTold);
  EXPECT_EQ(verdict("dataset.audio_root"), Verdict::kTold);
  EXPECT_EQ(verdict("dataset.path_column"), Verdict::kRefused);
  EXPECT_EQ(verdict("dataset.pretrained.audio_model"), Verdict::kRefused);
  EXPECT_EQ(verdict("task.model.path"), Verdict::kRefused);
}

}  // namespace
}  // namespace polyphony::pipeline
