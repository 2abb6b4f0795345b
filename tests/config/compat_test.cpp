#include <polyphony/config/bind/compat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/yaml.h>

namespace {

using polyphony::ConfigError;
using polyphony::config::Node;
using polyphony::config::parse_yaml;
using polyphony::config::to_yaml;
using polyphony::config::up_to_date;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

struct Result {
  Node config;
  std::vector<std::string> warnings;
  std::string error, remedy;
};

Result update(const std::string& text) {
  Result result;
  try {
    result.config = up_to_date(parse_yaml(text, "a.yaml"), [&](const std::string& warning) {
      result.warnings.push_back(warning);
    });
  } catch (const ConfigError& error) {
    result.error = error.what();
    result.remedy = error.remedy();
  }
  return result;
}

const std::string kAccept = "compat:\n  accept_renamed: true\n";

TEST(Compat, AnOldOptionIsAnErrorByDefault) {
  const Result result = update("trainer:\n  gpus: 2\n");
  EXPECT_THAT(result.error, StartsWith("a.yaml:2: trainer.gpus: no such option of "
                                       "polyphony.Trainer"));
  EXPECT_EQ(result.remedy,
            "renamed in Lightning 1.7 (removed 2.0): use trainer.devices (and "
            "trainer.accelerator=gpu)");
}

TEST(Compat, AnOldValueIsAnErrorByDefault) {
  const Result result = update(
      "stop:\n  _target_: pytorch_lightning.callbacks.EarlyStopping\n  monitor: val_F1Score\n");
  EXPECT_THAT(result.error, StartsWith("a.yaml:3: stop.monitor: 'val_F1Score' is an old value"));
  EXPECT_THAT(result.remedy, HasSubstr("stop.monitor=val_MulticlassF1Score"));
}

TEST(Compat, TranslatesWithAWarningWhereAsked) {
  const Result result = update(kAccept + "trainer:\n  gpus: 2\n  accelerator: ddp\n");
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(*result.config.find("trainer"),
            parse_yaml("devices: 2\naccelerator: gpu\nstrategy: ddp\n", ""));
  ASSERT_EQ(result.warnings.size(), 2u);
  EXPECT_THAT(result.warnings[0], StartsWith("a.yaml:4: trainer.gpus: no such option"));
  EXPECT_THAT(result.warnings[1], HasSubstr("use trainer.strategy=ddp"));
}

TEST(Compat, TranslatesToTheRoot) {
  const Result result = update(kAccept + "trainer:\n  resume_from_checkpoint: a.ckpt\n  x: 1\n");
  EXPECT_EQ(result.config.find("ckpt_path")->as_string(), "a.ckpt");
  EXPECT_EQ(*result.config.find("trainer"), parse_yaml("x: 1", ""));
}

TEST(Compat, RemovedOptionsAreLeftOutWithAWarning) {
  const Result result = update(kAccept + "trainer: {flush_logs_every_n_steps: 3, x: 1}\n");
  EXPECT_EQ(*result.config.find("trainer"), parse_yaml("x: 1", ""));
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("it is an option of the logger")));
}

TEST(Compat, OldAndNewTogetherAreAnErrorUnlessTheyAgree) {
  EXPECT_THAT(update(kAccept + "trainer: {gpus: 2, devices: 4}\n").error,
              HasSubstr("trainer.gpus: given beside devices, which replaced it"));
  EXPECT_EQ(update(kAccept + "trainer: {gpus: 2, devices: 2}\n").error, "");
}

TEST(Compat, ValuesStillTakenAreNotOld) {
  const Result result = update("trainer: {precision: 16, devices: 1}\n");
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.warnings, IsEmpty());
}

TEST(Compat, ClassesWithoutTheOptionAreLeftAlone) {
  EXPECT_EQ(update("mine: {_target_: mine.Bill, gpus: 2}\nother: {gpus: 1}\n").error, "");
}

TEST(Compat, OldClassNames) {
  const std::string text = "c:\n  _target_: pytorch_lightning.callbacks.GPUStatsMonitor\n";
  EXPECT_THAT(update(text).error, StartsWith("a.yaml:2: c._target_: "));
  EXPECT_EQ(update(kAccept + text).config.select("c._target_")->as_string(),
            "lightning.pytorch.callbacks.DeviceStatsMonitor");
}

TEST(Compat, TheAliasTableNamesAUsersClasses) {
  const Result result = update(
      "aliases: {src.models.Old: mine.New}\nm: {_target_: src.models.Old}\n"
      "deep: [{_target_: src.models.Old}]\n");
  EXPECT_EQ(result.config.select("m._target_")->as_string(), "mine.New");
  EXPECT_EQ(result.config.select("deep.0._target_")->as_string(), "mine.New");
  EXPECT_THAT(update("aliases: [a]\n").error, HasSubstr("a table of names is wanted"));
  EXPECT_THAT(update("aliases: {a.B: 3}\nm: {_target_: a.B}\n").error,
              HasSubstr("aliases.a.B: a class name is wanted"));
}

TEST(Compat, TheSwitchIsABool) {
  EXPECT_THAT(update("compat: {accept_renamed: maybe}\n").error,
              HasSubstr("compat.accept_renamed is true or false, not 'maybe'"));
}

}  // namespace
