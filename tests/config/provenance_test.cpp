#include <polyphony/config/compose/provenance.h>

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/files.h>
#include <polyphony/config/yaml/errors.h>
#include "scratch.h"

namespace {

using namespace polyphony::config;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A tree on disk, its composition, and what was recorded.
class ProvenanceTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = polyphony::scratch_directory() / "provenance";
    std::filesystem::remove_all(root_);
  }
  void file(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root_ / name).parent_path());
    polyphony::write_file(root_ / name, text);
  }
  void run(std::vector<std::string> overrides = {}) {
    ComposeRequest request;
    request.config_dir = root_;
    request.config_name = "main";
    request.overrides = std::move(overrides);
    request.observer = &provenance_;
    composition_ = compose(request);
  }
  /// "main.yaml:3=1" for each writing, first to last.
  std::vector<std::string> history(const std::string& key) const {
    std::vector<std::string> list;
    for (const Setting& setting : provenance_.history(key)) {
      std::string place = setting.mark.text();
      const std::string prefix = root_.string() + "/";
      if (place.starts_with(prefix)) place.erase(0, prefix.size());
      list.push_back(place + "=" + (setting.removed ? "(removed)" : setting.value));
    }
    return list;
  }

  std::filesystem::path root_;
  Provenance provenance_;
  Composition composition_;
};

TEST_F(ProvenanceTest, KeepsTheWholeChain) {
  file("main.yaml", "defaults:\n  - opt: fast\n  - _self_\nopt:\n  lr: 2\nplain: 1\n");
  file("opt/fast.yaml", "lr: 1\nbeta: 3\n");
  run({"opt.lr=5", "++opt.lr=6", "+extra=7"});
  EXPECT_THAT(history("opt.lr"), ElementsAre("opt/fast.yaml:1=1", "main.yaml:5=2",
                                             "override opt.lr=5=5", "override ++opt.lr=6=6"));
  EXPECT_THAT(history("opt.beta"), ElementsAre("opt/fast.yaml:2=3"));
  EXPECT_THAT(history("plain"), ElementsAre("main.yaml:6=1"));
  EXPECT_THAT(history("extra"), ElementsAre("override +extra=7=7"));
}

TEST_F(ProvenanceTest, AMissingValueOverAValueIsNotWritten) {
  file("main.yaml", "defaults:\n  - opt: fast\n  - _self_\nopt:\n  lr: ???\n");
  file("opt/fast.yaml", "lr: 1\n");
  run();
  EXPECT_THAT(history("opt.lr"), ElementsAre("opt/fast.yaml:1=1"));
}

TEST_F(ProvenanceTest, RemembersWhatWasRemoved) {
  file("main.yaml", "a: 1\nb: 2\n");
  run({"~a"});
  EXPECT_THAT(history("a"), ElementsAre("main.yaml:1=1", "override ~a=(removed)"));
  try {
    explain(composition_, provenance_, "a");
    FAIL();
  } catch (const ComposeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("Key 'a' was removed by override ~a"));
  }
}

TEST_F(ProvenanceTest, PackagesAreFollowed) {
  file("main.yaml", "defaults:\n  - opt@first.opt: fast\n  - opt@second: fast\n");
  file("opt/fast.yaml", "lr: 1\n");
  run();
  EXPECT_THAT(history("first.opt.lr"), ElementsAre("opt/fast.yaml:1=1"));
  EXPECT_THAT(history("second.lr"), ElementsAre("opt/fast.yaml:1=1"));
}

TEST_F(ProvenanceTest, ExplainsInterpolationsToTheirSource) {
  file("main.yaml", "lr: 1\nscale: 3\nopt:\n  rate: ${lr}x${.power}\n  power: ${scale}\n");
  run({"lr=9"});
  const auto values = explain(composition_, provenance_, "opt.rate");
  ASSERT_EQ(values.size(), 1u);
  EXPECT_EQ(values[0].value.as_string(), "9x3");
  ASSERT_EQ(values[0].references.size(), 2u);
  EXPECT_EQ(values[0].references[0].key, "lr");
  EXPECT_EQ(values[0].references[0].history.back().mark.text(), "override lr=9");
  EXPECT_EQ(values[0].references[1].key, "opt.power");
  EXPECT_EQ(values[0].references[1].references[0].key, "scale");
  const std::string text = explanation_text(values);
  EXPECT_THAT(text, HasSubstr("opt.rate: 9x3\n  set by   " + (root_ / "main.yaml").string() +
                              ":4  ${lr}x${.power}\n"));
  EXPECT_THAT(text, HasSubstr("    lr: 9\n      set by   override lr=9  9\n      replaced "));
}

TEST_F(ProvenanceTest, ExplainsEverythingOrOneBranch) {
  file("main.yaml", "a: 1\nb:\n  c: 2\n  d: {}\n  e: [1, 2]\n");
  run();
  EXPECT_EQ(explain(composition_, provenance_, "").size(), 4u);
  EXPECT_EQ(explain(composition_, provenance_, "b").size(), 3u);
  try {
    explain(composition_, provenance_, "b.cc");
    FAIL();
  } catch (const ComposeError& error) {
    EXPECT_EQ(error.original_class(), "ConfigKeyError");
    EXPECT_THAT(error.remedy(), HasSubstr("did you mean 'b.c'?"));
  }
}

TEST_F(ProvenanceTest, ExplainsAsJson) {
  file("main.yaml", "a: ${oc.env:SURELY_NOT_SET_HERE}\n");
  run();
  const auto json =
      nlohmann::json::parse(explanation_json(explain(composition_, provenance_, "a")));
  EXPECT_EQ(json[0]["key"], "a");
  EXPECT_EQ(json[0]["history"][0]["line"], 1);
  EXPECT_EQ(json[0]["environment"][0], "SURELY_NOT_SET_HERE");
}

/// The author's own case: two groups whose files say `_target_` bare, and land in one package.
TEST_F(ProvenanceTest, WarnsWhereTwoGroupsWriteOneKey) {
  file("main.yaml", "defaults:\n  - model: small\n  - data: mine\n");
  file("model/small.yaml", "# @package _global_\n_target_: src.Model\nwidth: 1\n");
  file("data/mine.yaml", "# @package _global_\n_target_: src.Data\nrows: 1\n");
  run();
  const auto warnings = provenance_.conflicts();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("_target_: written by two groups: model at "));
  EXPECT_THAT(warnings[0], HasSubstr("model/small.yaml:2 (src.Model), then data at "));
  EXPECT_THAT(warnings[0], HasSubstr("data/mine.yaml:2 (src.Data), which stands"));
}

TEST_F(ProvenanceTest, WarnsInAPackageOfItsOwnToo) {
  file("main.yaml", "defaults:\n  - model: small\n  - head@model: deep\n");
  file("model/small.yaml", "width: 1\n");
  file("head/deep.yaml", "width: 2\n");
  run();
  EXPECT_THAT(provenance_.conflicts(), ElementsAre(HasSubstr("model.width: ")));
}

TEST_F(ProvenanceTest, DoesNotWarnOfWhatIsMeant) {
  file(
      "main.yaml",
      "defaults:\n  - opt: fast\n  - model: big\n  - experiment: try\n  - _self_\nopt:\n  lr: 4\n");
  file("opt/fast.yaml", "lr: 1\n");
  file("model/big.yaml", "defaults:\n  - head: deep\n  - _self_\nhead:\n  width: 5\n");
  file("model/head/deep.yaml", "width: 2\n");
  file("experiment/try.yaml", "# @package _global_\nopt:\n  lr: 3\n");
  run({"opt.lr=7"});
  EXPECT_THAT(provenance_.conflicts(), IsEmpty());
}

}  // namespace
