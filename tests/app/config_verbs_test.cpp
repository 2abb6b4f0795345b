// `polyphony list`, `config …` and `compose --explain`, run as a user runs them.
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/files.h>
#include "scratch.h"

namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Outcome {
  int code = -1;
  std::string out, err;
};

/// Runs the program in the source directory.
Outcome polyphony(const std::string& arguments) {
  const fs::path errors = polyphony::scratch_directory() / "stderr";
  const std::string line = std::string("cd ") + POLYPHONY_SOURCE_DIR + " && " + POLYPHONY_BINARY +
                           " " + arguments + " 2>" + errors.string();
  Outcome outcome;
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  for (std::size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    outcome.out.append(buffer, n);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.err = polyphony::read_file(errors);
  return outcome;
}

fs::path copied_tree() {
  const fs::path tree = polyphony::scratch_directory() / "early";
  fs::remove_all(tree);
  fs::copy(std::string(POLYPHONY_TEST_DIR) + "/config/trees/early", tree,
           fs::copy_options::recursive);
  return tree;
}

TEST(ListVerb, PrintsKindsClassesAndOptions) {
  EXPECT_THAT(polyphony("list").out, AllOf(HasSubstr("\nOptimizer\n  polyphony.optim."),
                                           HasSubstr("  polyphony.optim.AdamW ")));
  const Outcome kind = polyphony("list callbacks");
  EXPECT_THAT(kind.out, StartsWith("Callback\n"));
  EXPECT_THAT(kind.out, Not(HasSubstr("Optimizer")));
  const Outcome one = polyphony("list pytorch_lightning.callbacks.EarlyStopping");
  EXPECT_THAT(one.out, StartsWith("polyphony.callbacks.EarlyStopping  (Callback)\n"));
  EXPECT_THAT(one.out, HasSubstr("also: lightning.pytorch.callbacks.EarlyStopping"));
  EXPECT_THAT(one.out, HasSubstr("patience"));
}

TEST(ListVerb, NamesTheNearest) {
  const Outcome outcome = polyphony("list Optimiser");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean 'Optimizer'?"));
}

TEST(ConfigMigrate, PrintsADiffAndWritesNothing) {
  const fs::path tree = copied_tree();
  const std::string before = polyphony::read_file(tree / "trainer/trainer.yaml");
  const Outcome outcome = polyphony("config migrate " + tree.string());
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("--- a/trainer/trainer.yaml\n+++ b/trainer/trainer.yaml\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\n-accelerator: ddp\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\n+strategy: ddp\n"));
  EXPECT_THAT(outcome.err, HasSubstr("3 of 5 files would change; 0 places"));
  EXPECT_EQ(polyphony::read_file(tree / "trainer/trainer.yaml"), before);
}

TEST(ConfigMigrate, RewritesInPlaceOnce) {
  const fs::path tree = copied_tree();
  EXPECT_EQ(polyphony("config migrate --in-place " + tree.string()).code, 0);
  EXPECT_THAT(polyphony::read_file(tree / "trainer/trainer.yaml"),
              HasSubstr("\ndevices: -1                  # all there are\n"));
  const Outcome again = polyphony("config migrate " + tree.string());
  EXPECT_EQ(again.out, "");
  EXPECT_THAT(again.err, HasSubstr("0 of 5 files would change"));
}

TEST(ConfigMigrate, TakesOneFileAndRefusesNone) {
  const fs::path tree = copied_tree();
  EXPECT_THAT(polyphony("config migrate " + (tree / "callbacks/usual.yaml").string()).out,
              HasSubstr("+  every_n_epochs: 1"));
  EXPECT_EQ(polyphony("config migrate " + (tree / "nowhere").string()).code, 4);
}

TEST(ConfigTargets, SaysWhatIsThereAndWhatIsNot) {
  EXPECT_EQ(polyphony("config targets").code, 0);
  const Outcome early = polyphony(
      "config targets --config-path tests/config/trees/early "
      "--config-name fused_train");
  EXPECT_THAT(early.out, HasSubstr("polyphony.callbacks.EarlyStopping"));
  EXPECT_THAT(early.out, HasSubstr("the section `trainer`"));
}

TEST(ComposeExplain, SaysWhoSetAValueAndWhatItReplaced) {
  const Outcome outcome = polyphony("compose --explain trainer.max_epochs epochs=7");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, StartsWith("trainer.max_epochs: 7\n"));
  EXPECT_THAT(outcome.out, HasSubstr("configs/trainer/default.yaml:"));
  EXPECT_THAT(outcome.out, HasSubstr("      set by   override epochs=7  7\n"));
  EXPECT_THAT(outcome.out, HasSubstr("      replaced configs/experiment.yaml:"));
}

TEST(ComposeExplain, TakesNoKeyAnOverrideOrJson) {
  EXPECT_THAT(polyphony("compose --explain").out, HasSubstr("\nseed: 2024\n"));
  EXPECT_THAT(polyphony("compose --explain seed=3").out,
              HasSubstr("\nseed: 3\n  set by   override seed=3  3\n"));
  const auto json = nlohmann::json::parse(polyphony("compose --format json --explain seed").out);
  EXPECT_EQ(json[0]["history"][0]["file"], "configs/experiment.yaml");
  EXPECT_EQ(polyphony("compose --explain sead").code, 1);
}

TEST(CompatSwitch, ExistsForEveryTree) {
  const Outcome outcome = polyphony("compose compat.accept_renamed=true --format json");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(nlohmann::json::parse(outcome.out)["compat"]["accept_renamed"].get<bool>());
}

TEST(CompatSwitch, AnOldOptionStopsARunWithWhatToWrite) {
  const Outcome outcome = polyphony("train +trainer.gpus=2 hydra.run.dir=" +
                                    (polyphony::scratch_directory() / "run").string());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("trainer.gpus: no such option of polyphony.Trainer"));
  EXPECT_THAT(outcome.err, HasSubstr("renamed in Lightning 1.7 (removed 2.0): use "
                                     "trainer.devices (and trainer.accelerator=gpu)"));
}

}  // namespace
