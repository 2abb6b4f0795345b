// Whole trees of the shape of the original project's, in our own words: today's, and an early one
// with the options of Lightning 1.4.
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/config/compose/compose.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/rename/migrate.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/yaml.h>

namespace {

using namespace polyphony::config;
using testing::HasSubstr;

const std::string kTrees = std::string(POLYPHONY_TEST_DIR) + "/config/trees/";

Composition composed(const std::string& tree, const std::string& name,
                     std::vector<std::string> overrides = {}) {
  ComposeRequest request;
  request.config_dir = kTrees + tree;
  request.config_name = name;
  request.overrides = std::move(overrides);
  return compose(request);
}

Node resolved(const std::string& tree, const std::string& name,
              std::vector<std::string> overrides = {}) {
  const Composition composition = composed(tree, name, std::move(overrides));
  ResolveContext context;
  context.hydra = composition.hydra;
  context.hydra.find("runtime")->set("cwd", Node("/runs"));
  context.env = [](const std::string& variable) -> std::optional<std::string> {
    static const std::map<std::string, std::string> kValues = {
        {"CODE_HOME", "/code"}, {"DATA_HOME", "/data"}, {"CARDS", "2"}};
    const auto found = kValues.find(variable);
    return found == kValues.end() ? std::nullopt : std::optional(found->second);
  };
  return resolve(composition.config, context);
}

std::string expected(const std::string& name) {
  return to_json(load_yaml(kTrees + name + ".expected.yaml"));
}

TEST(Trees, TodaysTreeComposesAsHydraComposesIt) {
  EXPECT_EQ(to_json(resolved("today", "fused")), expected("today_fused"));
  EXPECT_EQ(to_json(resolved("today", "vote")), expected("today_vote"));
}

TEST(Trees, AFileThatAsksForAnAbsentKeyIsNamedWithKeyLineAndRemedy) {
  try {
    resolved("today", "single");
    FAIL();
  } catch (const ComposeError& error) {
    EXPECT_EQ(error.original_class(), "InterpolationKeyError");
    EXPECT_EQ(error.key(), "dataset.label_column");
    EXPECT_THAT(error.file(), testing::EndsWith("today/dataset/speech.yaml"));
    EXPECT_EQ(error.line(), 4);
    EXPECT_THAT(error.what(), HasSubstr("Interpolation key 'label_column' not found"));
    EXPECT_THAT(error.remedy(), HasSubstr("+label_column=VALUE on the command line"));
  }
}

TEST(Trees, TheRemedyWorks) {
  const Node config = resolved("today", "single", {"+label_column=mood", "dataset=words"});
  EXPECT_EQ(config.select("dataset.label_column")->as_string(), "mood");
  EXPECT_EQ(config.select("dataset.weights")->as_string(), "maker/words-large");
  EXPECT_EQ(config.select("arguments.run_name")->as_string(), "Single-speech");
}

TEST(Trees, TodaysTreeHasOneOldOption) {
  std::size_t changed = 0;
  for (const Migration& file : migrate(read_tree(kTrees + "today"))) {
    changed += file.changed();
    EXPECT_TRUE(file.by_hand.empty()) << file.path;
    if (file.changed()) {
      EXPECT_THAT(file.after, HasSubstr("\neval_strategy: epoch\n"));
    }
  }
  EXPECT_EQ(changed, 1u);
}

TEST(Trees, AnEarlyTreeIsMigratedWholeKeepingItsComments) {
  std::map<std::string, std::string> after;
  std::vector<TextFile> again;
  for (const Migration& file : migrate(read_tree(kTrees + "early"))) {
    after[file.path] = file.after;
    again.push_back({file.path, file.after});
    EXPECT_TRUE(file.by_hand.empty()) << file.path << ": " << file.by_hand[0].text;
  }
  EXPECT_EQ(after["trainer/trainer.yaml"],
            "_target_: pytorch_lightning.Trainer\n"
            "devices: -1                  # all there are\n"
            "accelerator: gpu\n"
            "strategy: ddp\n"
            "precision: 16-mixed\n"
            "max_epochs: ${epoch}\n"
            "enable_progress_bar: false\n"
            "enable_checkpointing: true\n");
  EXPECT_THAT(after["fused_train.yaml"],
              HasSubstr("\nmonitor: val_MulticlassF1Score             # macro\n"));
  EXPECT_THAT(after["callbacks/usual.yaml"], HasSubstr("# what watches\n"));
  EXPECT_THAT(after["callbacks/usual.yaml"], HasSubstr("  every_n_epochs: 1\n"));
  EXPECT_THAT(after["callbacks/usual.yaml"], HasSubstr("  monitor: val_MulticlassF1Score\n"));
  for (const Migration& file : migrate(again)) EXPECT_FALSE(file.changed()) << file.path;
}

}  // namespace
