// `polyphony runs …`, run as a user runs it, over a store written here.
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/files.h>
#include <polyphony/record/host.h>
#include <polyphony/record/store.h>

#include "app/program.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class RunsVerb : public testing::Test {
 protected:
  RunsVerb() : folder_(fresh()), store_(folder_ / "logs/polyphony.db") {
    for (const double accuracy : {0.5, 0.9, 0.7}) {
      record::RunInfo info;
      info.name = "run" + std::to_string(static_cast<int>(accuracy * 10));
      info.directory = folder_ / info.name;
      info.host = record::host_name();
      info.pid = record::process_id();
      info.config_yaml = "optimizer: {lr: " + std::to_string(accuracy / 100) + "}\n";
      const std::int64_t id = store_.begin(info);
      std::vector<record::Metric> logged;
      for (int step = 0; step <= 10; ++step) {
        logged.push_back({"test_acc", step, 0, record::now(), accuracy * step / 10});
      }
      store_.log(id, logged);
      store_.finish(id, record::State::kFinished);
    }
  }
  static fs::path fresh() {
    const fs::path folder = scratch_directory() / "runs_verb";
    fs::remove_all(folder);
    fs::create_directories(folder);
    return folder;
  }
  Finished runs(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "runs");
    return run_program(folder_, std::move(arguments));
  }

  fs::path folder_;
  record::Store store_;
};

TEST_F(RunsVerb, ListsWhatMatchesInTheOrderAskedFor) {
  const Finished listed = runs({"--where", "test_acc > 0.6", "--sort", "test_acc:desc", "--format",
                                "csv", "--column", "optimizer.lr"});
  ASSERT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out,
              HasSubstr("id,name,state,started,seconds,optimizer.lr,directory\n2,run9"));
  EXPECT_THAT(listed.out, HasSubstr("\n3,run7"));
  EXPECT_THAT(listed.out, Not(HasSubstr("run5")));
}

TEST_F(RunsVerb, AnUnknownFieldIsAUsageErrorThatNamesTheNearest) {
  const Finished refused = runs({"list", "--where", "test_ac > 1"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("did you mean `test_acc`"));
  EXPECT_EQ(runs({"list", "--sort", ":desc"}).exit_code, 2);
  EXPECT_EQ(runs({"show", "77"}).exit_code, 2);
}

TEST_F(RunsVerb, ExportsToAFileInEveryFormat) {
  for (const char* format : {"csv", "json", "markdown", "latex"}) {
    ASSERT_EQ(runs({"export", "--format", format, "-o", "out.txt"}).exit_code, 0) << format;
    EXPECT_THAT(read_file(folder_ / "out.txt"), HasSubstr("run9")) << format;
  }
  ASSERT_EQ(runs({"export", "--format", "json", "-o", "out.json"}).exit_code, 0);
  const auto json = nlohmann::json::parse(read_file(folder_ / "out.json"));
  EXPECT_EQ(json[1]["metrics"]["test_acc"], 0.9);
}

TEST_F(RunsVerb, TagsAreAddedFilteredAndRemoved) {
  ASSERT_EQ(runs({"tag", "1", "2", "--add", "best", "--add", "seed"}).exit_code, 0);
  EXPECT_THAT(runs({"--tag", "best"}).out, HasSubstr("best,seed"));
  ASSERT_EQ(runs({"tag", "1", "--remove", "best"}).exit_code, 0);
  EXPECT_THAT(runs({"--tag", "best"}).out, Not(HasSubstr("run5")));
  EXPECT_EQ(runs({"tag", "1"}).exit_code, 2);
  EXPECT_EQ(runs({"tag", "1", "--add", "a,b"}).exit_code, 2);
}

TEST_F(RunsVerb, DeletesOnlyWhenToldTo) {
  EXPECT_EQ(run_program(folder_, {"runs", "show", "2"}).exit_code, 0);
  fs::create_directories(folder_ / "run9/.hydra");
  fs::create_directories(folder_ / "run5");  // somebody else's: no .hydra
  EXPECT_THAT(runs({"delete", "1", "--files", "--yes"}).err, HasSubstr(".hydra"));
  ASSERT_EQ(runs({"delete", "2", "--files", "--yes"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "run9"));
  EXPECT_TRUE(fs::exists(folder_ / "run5"));
  EXPECT_FALSE(store_.find(2).has_value());
  EXPECT_TRUE(store_.metrics(2).empty());
  EXPECT_TRUE(store_.find(1).has_value());
}

TEST_F(RunsVerb, ARunningRunIsNotDeleted) {
  record::RunInfo info;
  info.name = "busy";
  info.host = record::host_name();
  info.pid = record::process_id();
  const std::int64_t id = store_.begin(info);
  const Finished refused = runs({"delete", std::to_string(id), "--yes"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("is running"));
}

TEST_F(RunsVerb, ImportsWhatOthersRecordedOnce) {
  write_file(folder_ / "old/version_3/metrics.csv", "epoch,step,val_loss\n0,5,0.25\n1,9,0.125\n");
  const Finished imported = runs({"import", "old", "--tag", "old", "--group", "2023"});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_THAT(imported.out, HasSubstr("1 runs imported"));
  EXPECT_THAT(runs({"--where", "source = csv", "--column", "val_loss"}).out, HasSubstr("0.1250"));
  EXPECT_THAT(runs({"import", "old"}).out, HasSubstr("already run 4"));
  EXPECT_EQ(runs({"import", "nowhere"}).exit_code, 4);
  write_file(folder_ / "bad/metrics.csv", "a,b\n1,2\n");
  EXPECT_EQ(runs({"import", "bad"}).exit_code, 3);
}

TEST_F(RunsVerb, PlotsCurvesInLettersOnADumbTerminal) {
  Program program = polyphony_in(folder_, {"runs", "plot", "test_acc", "--width", "60"});
  program.environment["TERM"] = "dumb";
  const Finished drawn = program.run();
  ASSERT_EQ(drawn.exit_code, 0) << drawn.err;
  EXPECT_THAT(drawn.out, HasSubstr("a 3 run7"));
  EXPECT_THAT(drawn.out, HasSubstr("b 2 run9"));
  for (const char c : drawn.out) EXPECT_GT(c, 0) << "not ASCII";
  EXPECT_EQ(runs({"plot", "test_bcc"}).exit_code, 2);
}

TEST_F(RunsVerb, PlotsOneCurveInBrailleWhereTextIsUtf8) {
  Program program = polyphony_in(folder_, {"runs", "plot", "test_acc", "2", "--width", "60"});
  program.environment["LC_ALL"] = "C.UTF-8";
  program.environment["TERM"] = "xterm";
  EXPECT_THAT(program.run().out, HasSubstr("⠤"));
}

}  // namespace
}  // namespace polyphony
