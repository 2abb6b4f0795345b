// Names of the Python stack, old names, and old options. The classes are those of
// instantiate_test.cpp, in the same program.
#include <polyphony/config/bind/target.h>

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/rename/aliases.h>
#include <polyphony/config/rename/renamed.h>
#include <polyphony/config/yaml/yaml.h>

namespace {

using namespace polyphony::config;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Target, PythonNamesMeanOurClasses) {
  for (const char* name : {"torch.optim.AdamW", "torch.optim.adamw.AdamW"}) {
    const Target target = find_target(name, "Optimizer");
    ASSERT_NE(target.entry, nullptr) << name;
    EXPECT_EQ(target.entry->name, "polyphony.optim.AdamW");
    EXPECT_EQ(target.how, "alias");
  }
}

TEST(Target, EveryNameOfAPackageIsTheSame) {
  for (const char* root : {"pytorch_lightning", "lightning.pytorch", "lightning", "pl"}) {
    const Alias* alias = find_alias(std::string(root) + ".callbacks.ModelCheckpoint");
    ASSERT_NE(alias, nullptr) << root;
    EXPECT_EQ(alias->ours, "polyphony.callbacks.ModelCheckpoint");
  }
  const Alias* deep = find_alias("lightning.pytorch.loggers.wandb.WandbLogger");
  ASSERT_NE(deep, nullptr);
  EXPECT_EQ(deep->ours, "polyphony.loggers.WandbLogger");
}

TEST(Target, APackageOfASimilarNameIsNotThePackage) {
  EXPECT_FALSE(python_name("torchaudio.transforms.MelSpectrogram"));
  EXPECT_EQ(find_alias("lightning.pytorch.loggers.ModelCheckpoint"), nullptr);
}

TEST(Target, AUsersOwnClassIsFoundByItsClassName) {
  const Target target = find_target("src.models.strings.Lute", "Instrument");
  ASSERT_NE(target.entry, nullptr);
  EXPECT_EQ(target.entry->name, "test.Lute");
  EXPECT_EQ(target.how, "class name");
}

TEST(Target, SaysWhatIsNotThereYet) {
  const Target optimizer = find_target("torch.optim.ASGD", "Optimizer");
  EXPECT_EQ(optimizer.entry, nullptr);
  EXPECT_THAT(optimizer.fact, StartsWith("torch.optim.ASGD has no counterpart yet: "));
  EXPECT_THAT(optimizer.remedy, HasSubstr("polyphony.optim.AdamW"));
  const Target unknown = find_target("torch.nn.Bilinear", "Instrument");
  EXPECT_EQ(unknown.fact, "torch.nn.Bilinear has no counterpart yet");
}

TEST(Target, UnknownNamesNameTheNearest) {
  const Target target = find_target("mine.Luta", "Instrument");
  EXPECT_EQ(target.entry, nullptr);
  EXPECT_EQ(target.fact, "no Instrument is named 'mine.Luta'");
  EXPECT_THAT(target.remedy, StartsWith("did you mean 'test.Lute'? known: "));
}

TEST(Target, OldClassNamesSaySinceWhenAndWhatToWrite) {
  const Target target = find_target("pytorch_lightning.callbacks.GPUStatsMonitor");
  EXPECT_EQ(target.entry, nullptr);
  EXPECT_EQ(target.remedy,
            "renamed in Lightning 1.5 (removed 1.7): use "
            "lightning.pytorch.callbacks.DeviceStatsMonitor");
  EXPECT_THAT(find_target("pytorch_lightning.metrics.Accuracy").remedy,
              HasSubstr("write the class of torchmetrics"));
}

TEST(Aliases, EveryLineIsWellFormedAndAlone) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  std::set<std::string_view> families;
  for (const AliasFamily& family : alias_families()) families.insert(family.family);
  for (const Alias& row : alias_rows()) {
    EXPECT_TRUE(seen.insert({row.family, row.name}).second) << row.name;
    EXPECT_TRUE(families.count(row.family)) << row.name;
    EXPECT_FALSE(row.name.empty());
  }
}

std::string row_text(const char* owner, const char* option, const Node& value) {
  const RenamedOption* row = find_renamed(owner, option, value);
  return row == nullptr ? "none" : renamed_text(*row, value, "trainer");
}

TEST(Renamed, SaysSinceWhenAndWhatToWrite) {
  EXPECT_EQ(row_text("lightning.pytorch.Trainer", "gpus", Node(2)),
            "renamed in Lightning 1.7 (removed 2.0): use trainer.devices (and "
            "trainer.accelerator=gpu)");
  EXPECT_EQ(row_text("polyphony.Trainer", "accelerator", Node("ddp")),
            "renamed in Lightning 1.5 (removed 1.7): use trainer.strategy=ddp");
  EXPECT_EQ(row_text("Trainer", "resume_from_checkpoint", Node("a.ckpt")),
            "renamed in Lightning 1.5 (removed 2.0): use ckpt_path");
  EXPECT_EQ(row_text("Trainer", "flush_logs_every_n_steps", Node(5)),
            "deprecated in Lightning 1.5 (removed 1.7): it is an option of the logger");
  EXPECT_EQ(row_text("transformers.TrainingArguments", "evaluation_strategy", Node("epoch")),
            "renamed in Transformers 4.41 (removed 4.46): use trainer.eval_strategy");
}

TEST(Renamed, PresentNamesAndValuesAreNotOld) {
  EXPECT_EQ(row_text("Trainer", "accelerator", Node("gpu")), "none");
  EXPECT_EQ(row_text("Trainer", "devices", Node(2)), "none");
  EXPECT_EQ(row_text("Trainer", "precision", Node(32)), "none");
  EXPECT_EQ(row_text("EarlyStopping", "monitor", Node("val_MulticlassF1Score")), "none");
  EXPECT_EQ(row_text("EarlyStopping", "monitor", Node("val_loss")), "none");
  EXPECT_EQ(row_text("Tiny", "gpus", Node(2)), "none");
}

TEST(Renamed, MonitorsKeepTheirPrefix) {
  EXPECT_EQ(row_text("EarlyStopping", "monitor", Node("val_F1Score")),
            "changed in TorchMetrics 0.11: use trainer.monitor=val_MulticlassF1Score");
}

TEST(Renamed, TheTableIsLargeEnoughAndWellFormed) {
  EXPECT_GE(renamed_options().size() + renamed_classes().size(), 80u);
  for (const RenamedOption& row : renamed_options()) {
    EXPECT_FALSE(row.owner.empty() || row.option.empty() || row.since.empty());
    EXPECT_LE(std::count(row.value.begin(), row.value.end(), '*'), 1) << row.option;
    for (const Replacement& item : replacements(row, Node("x"))) {
      EXPECT_FALSE(item.key.empty()) << row.option;
      EXPECT_TRUE(item.keeps_value || !item.value.empty()) << row.option;
    }
  }
}

TEST(Renamed, NoLineIsHiddenByAnEarlierOne) {
  const auto rows = renamed_options();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool same = rows[j].owner == rows[i].owner && rows[j].option == rows[i].option;
      EXPECT_FALSE(same && (rows[j].value.empty() || rows[j].value == rows[i].value))
          << rows[i].owner << "." << rows[i].option << "=" << rows[i].value;
    }
  }
}

/// A replacement that is itself old would make `config migrate` rewrite its own text.
TEST(Renamed, NoReplacementIsOldItself) {
  for (const RenamedOption& row : renamed_options()) {
    for (const Replacement& item : replacements(row, Node("x"))) {
      if (item.root || item.keeps_value) continue;
      const std::string owner(row.owner.substr(0, row.owner.find('|')));
      EXPECT_EQ(find_renamed(owner, item.key, parse_yaml(item.value, "")), nullptr)
          << row.owner << "." << row.option << " -> " << item.key << "=" << item.value;
    }
  }
}

struct TrainerOptions {
  int devices = 1;
  void describe(Fields& f) { f("devices", devices, "how many"); }
};

TEST(Renamed, BindingAnOldOptionIsAnErrorThatSaysWhatToWrite) {
  try {
    bind<TrainerOptions>(parse_yaml("devices: 1\ngpus: 2\n", "trainer/default.yaml"),
                         "polyphony.Trainer", "trainer");
    FAIL();
  } catch (const polyphony::ConfigError& error) {
    EXPECT_THAT(error.what(), StartsWith("trainer/default.yaml:2: trainer.gpus: no such option of "
                                         "polyphony.Trainer"));
    EXPECT_EQ(error.remedy(),
              "renamed in Lightning 1.7 (removed 2.0): use trainer.devices (and "
              "trainer.accelerator=gpu)");
  }
}

}  // namespace
