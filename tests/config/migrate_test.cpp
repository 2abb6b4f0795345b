#include <polyphony/config/rename/migrate.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/config/rename/renamed.h>
#include <polyphony/config/yaml/yaml.h>

namespace {

using polyphony::config::migrate;
using polyphony::config::Migration;
using polyphony::config::TextFile;
using polyphony::config::unified_diff;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string migrated(const std::string& text, const std::string& path = "trainer/default.yaml") {
  return migrate({{path, text}})[0].after;
}

TEST(Migrate, RenamesAndAddsBesideKeepingCommentsAndOrder) {
  EXPECT_EQ(migrated("# two cards\n"
                     "_target_: pytorch_lightning.Trainer\n"
                     "max_epochs: 5     # enough\n"
                     "gpus: 2           # both\n"
                     "\n"
                     "log_every_n_steps: 10\n"),
            "# two cards\n"
            "_target_: pytorch_lightning.Trainer\n"
            "max_epochs: 5     # enough\n"
            "devices: 2           # both\n"
            "accelerator: gpu\n"
            "\n"
            "log_every_n_steps: 10\n");
}

TEST(Migrate, RewritesValues) {
  EXPECT_EQ(migrated("accelerator: ddp\nmax_epochs: 1\n"), "strategy: ddp\nmax_epochs: 1\n");
  EXPECT_EQ(migrated("precision: 16\n"), "precision: 16-mixed\n");
  EXPECT_EQ(migrated("precision: 32\n"), "precision: 32\n");
  EXPECT_EQ(migrated("checkpoint_callback: True\n"), "enable_checkpointing: true\n");
}

TEST(Migrate, OldDevicesAndOldStrategyTogether) {
  const std::string wanted = "devices: 2\naccelerator: gpu\nstrategy: ddp\n";
  EXPECT_EQ(migrated("gpus: 2\naccelerator: ddp\n"), wanted);
  EXPECT_EQ(migrated("accelerator: ddp\ngpus: 2\n"),
            "strategy: ddp\ndevices: 2\naccelerator: gpu\n");
  EXPECT_EQ(migrated("gpus: 2\naccelerator: gpu\n"), "devices: 2\naccelerator: gpu\n");
}

TEST(Migrate, KeepsInterpolationsListsAndQuotes) {
  EXPECT_EQ(migrated("gpus: ${cards}\n"), "devices: ${cards}\naccelerator: gpu\n");
  EXPECT_EQ(migrated("gpus: [0, 1] # both\n"), "devices: [0, 1] # both\naccelerator: gpu\n");
  EXPECT_EQ(migrated("gpus:\n  - 0\n  - 1\n"), "accelerator: gpu\ndevices:\n  - 0\n  - 1\n");
  EXPECT_EQ(migrated("accelerator: \"ddp\"\n"), "strategy: \"ddp\"\n");
}

TEST(Migrate, WorksInFlowStyle) {
  EXPECT_EQ(migrated("trainer: {gpus: 2, max_epochs: 3}  # short\n", "experiment.yaml"),
            "trainer: {devices: 2, accelerator: gpu, max_epochs: 3}  # short\n");
}

TEST(Migrate, CommentsOutWhatIsGoneAndDropsWhatSaysNothing) {
  EXPECT_EQ(
      migrated("flush_logs_every_n_steps: 100\nmax_epochs: 1\n"),
      "# flush_logs_every_n_steps: 100  # deprecated in Lightning 1.5 (removed 1.7): it is an "
      "option of the logger\nmax_epochs: 1\n");
  EXPECT_EQ(migrated("max_epochs: 1\ntrack_grad_norm: -1\n"), "max_epochs: 1\n");
}

TEST(Migrate, LeavesToAPersonWhatAFileAloneCannotTell) {
  const std::string text = "max_epochs: 1\nresume_from_checkpoint: a.ckpt\n";
  const Migration result = migrate({{"trainer/default.yaml", text}})[0];
  EXPECT_EQ(result.after, text);
  ASSERT_THAT(result.by_hand, SizeIs(1));
  EXPECT_EQ(result.by_hand[0].line, 2);
  EXPECT_THAT(result.by_hand[0].text, HasSubstr("use ckpt_path"));
}

TEST(Migrate, DoesNotGuessBetweenOldAndNew) {
  const std::string text = "gpus: 2\ndevices: 4\n";
  const Migration result = migrate({{"trainer/default.yaml", text}})[0];
  EXPECT_EQ(result.after, text);
  EXPECT_THAT(result.by_hand, SizeIs(1));
}

TEST(Migrate, RewritesMonitorsWhereTheVariableStands) {
  const std::vector<TextFile> tree = {
      {"callbacks/default.yaml",
       "early_stopping:\n  _target_: pytorch_lightning.callbacks.EarlyStopping\n"
       "  monitor: ${monitor}\n"},
      {"main.yaml", "defaults:\n  - callbacks: default\nmonitor: val_F1Score # macro\n"}};
  const std::vector<Migration> result = migrate(tree);
  EXPECT_FALSE(result[0].changed());
  EXPECT_EQ(result[1].after,
            "defaults:\n  - callbacks: default\nmonitor: val_MulticlassF1Score # macro\n");
}

TEST(Migrate, TellsWhereARenamedOptionHangsOnAVariable) {
  const std::vector<Migration> result = migrate(
      {{"main.yaml", "accelerator: ddp\n"}, {"trainer/a.yaml", "accelerator: ${accelerator}\n"}});
  EXPECT_FALSE(result[0].changed());
  ASSERT_THAT(result[0].by_hand, SizeIs(1));
  EXPECT_THAT(result[0].by_hand[0].text, HasSubstr("use strategy=ddp"));
}

TEST(Migrate, RenamesClasses) {
  EXPECT_EQ(migrated("gpu_stats:\n  _target_: pytorch_lightning.callbacks.GPUStatsMonitor\n",
                     "callbacks/a.yaml"),
            "gpu_stats:\n  _target_: lightning.pytorch.callbacks.DeviceStatsMonitor\n");
}

TEST(Migrate, KnowsTransformers) {
  EXPECT_EQ(migrated("_target_: transformers.TrainingArguments\nevaluation_strategy: epoch\n"
                     "seed : 1\nno_cuda: true\n",
                     "training_arguments/a.yaml"),
            "_target_: transformers.TrainingArguments\neval_strategy: epoch\nseed : 1\n"
            "use_cpu: true\n");
}

TEST(Migrate, KnowsHydra) {
  EXPECT_EQ(
      migrated("# @package _group_\ndefaults:\n  - hydra/launcher: joblib\n"
               "root: ${env:HOME}/data  # ${env:OLD} stays only in comments that stand alone\n",
               "main.yaml"),
      "defaults:\n  - override hydra/launcher: joblib\n"
      "root: ${oc.env:HOME}/data  # ${oc.env:OLD} stays only in comments that stand alone\n");
  EXPECT_EQ(migrated("# @package _group_._name_\na: 1\n", "g/a.yaml"),
            "# @package _group_._name_\na: 1\n");
}

TEST(Migrate, LeavesOthersAlone) {
  const std::string text = "gpus: 2\nperiod: 3\nmonitor: val_F1Score\n";
  const Migration result = migrate({{"billing/default.yaml", text}})[0];
  EXPECT_EQ(result.after, text);
  EXPECT_THAT(result.by_hand, IsEmpty());
}

/// Every line of the table, written as a file: the result reads as YAML and is final.
TEST(Migrate, IsIdempotentForEveryKnownOption) {
  for (const auto& row : polyphony::config::renamed_options()) {
    const std::string owner(row.owner.substr(0, row.owner.find('|')));
    std::string value(row.value.empty() ? "7" : row.value);
    if (value == "{*") value = "{1: 2}";
    if (const auto star = value.find('*'); star != value.npos) value.replace(star, 1, "val");
    const std::string text = "thing:\n  _target_: some." + owner + "\n  " +
                             std::string(row.option) + ": " + value + "\n  other: 1\n";
    const std::string once = migrated(text, "a.yaml");
    EXPECT_NO_THROW(polyphony::config::parse_yaml(once, "a.yaml")) << once;
    EXPECT_EQ(migrated(once, "a.yaml"), once) << text;
    if (!row.use.empty() && row.use[0] != '/') {
      EXPECT_NE(once, text);
    }
  }
}

TEST(Diff, IsUnified) {
  EXPECT_EQ(unified_diff("t.yaml", "a\nb\nc\nd\ne\nf\n", "a\nb\nc\nX\ne\nf\n"),
            "--- a/t.yaml\n+++ b/t.yaml\n@@ -1,6 +1,6 @@\n a\n b\n c\n-d\n+X\n e\n f\n");
  EXPECT_EQ(unified_diff("t.yaml", "a\n", "a\n"), "");
  EXPECT_EQ(unified_diff("t.yaml", "a", "a\n"),
            "--- a/t.yaml\n+++ b/t.yaml\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
}

TEST(Diff, HasAHunkForEachDistantChange) {
  std::string before, after;
  for (int i = 0; i < 30; ++i) {
    before += std::to_string(i) + "\n";
    after += (i == 2 || i == 25 ? "new" : std::to_string(i)) + "\n";
  }
  const std::string diff = unified_diff("t.yaml", before, after);
  EXPECT_THAT(diff, HasSubstr("@@ -1,6 +1,6 @@"));
  EXPECT_THAT(diff, HasSubstr("@@ -23,7 +23,7 @@"));
}

}  // namespace
