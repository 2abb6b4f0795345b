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

/// Another store than the default one, with runs named other1 and other2 under the same numbers.
class RunsOfAnotherStore : public RunsVerb {
 protected:
  RunsOfAnotherStore() : other_(folder_ / "other.db") {
    for (const char* name : {"other1", "other2", "other3"}) {
      record::RunInfo info;
      info.name = name;
      info.host = record::host_name();
      const std::int64_t id = other_.begin(info);
      std::vector<record::Metric> logged = {{"other_acc", 0, 0, 0, 0.5}, {"other_acc", 9, 0, 1, 1}};
      other_.log(id, logged);
      other_.finish(id, id == 3 ? record::State::kFailed : record::State::kFinished);
    }
  }
  record::Store other_;
};

TEST_F(RunsOfAnotherStore, IsMeantByEveryVerbBeforeAndBehindIt) {
  write_file(folder_ / "old/metrics.csv", "epoch,step,val_loss\n0,5,0.25\n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> verbs = {
      {{"list"}, "other1"},
      {{"show", "2"}, "other2"},
      {{"compare", "1", "2"}, "other2"},
      {{"export"}, "other1"},
      {{"plot", "other_acc"}, "other_acc"},
      {{"tag", "2", "--add", "best"}, "other2: best"},
      {{"import", "old", "--again"}, "1 runs imported"},
      {{"delete", "2", "--yes"}, "run 2 other2"}};
  for (const auto& [verb, answer] : verbs) {
    for (const bool before : {true, false}) {
      if (verb[0] == "delete" && !before) continue;
      std::vector<std::string> words = verb;
      words.insert(before ? words.begin() : words.end(), {"--store", "other.db"});
      const Finished ended = runs(words);
      ASSERT_EQ(ended.exit_code, 0) << verb[0] << ended.err;
      EXPECT_THAT(ended.out, HasSubstr(answer)) << verb[0];
    }
  }
  EXPECT_FALSE(other_.find(2).has_value());
  EXPECT_EQ(runs({"delete", "1", "--yes", "--store", "other.db"}).exit_code, 0);
  EXPECT_FALSE(other_.find(1).has_value());
  // The default store is as it was.
  ASSERT_EQ(store_.runs().size(), 3U);
  for (const record::Run& run : store_.runs()) EXPECT_TRUE(run.tags.empty());
}

TEST_F(RunsVerb, OptionsThatChooseAreHeededByEveryVerb) {
  const std::vector<std::string> best = {"--where", "test_acc > 0.8"};
  const auto with = [](std::vector<std::string> a, const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  for (const auto& verb : std::vector<std::vector<std::string>>{{"list"}, {"export"}, {"show"}}) {
    for (const auto& words : {with(best, verb), with(verb, best)}) {
      const Finished ended = runs(words);
      ASSERT_EQ(ended.exit_code, 0) << verb[0] << ended.err;
      EXPECT_THAT(ended.out, testing::AllOf(HasSubstr("run9"), Not(HasSubstr("run5")))) << verb[0];
    }
  }
  EXPECT_THAT(runs({"--where", "test_acc > 0.6", "compare"}).out,
              testing::AllOf(HasSubstr("run9"), HasSubstr("run7"), Not(HasSubstr("run5"))));
  EXPECT_THAT(runs({"--limit", "1", "plot", "test_acc"}).out, Not(HasSubstr("run9")));
  EXPECT_THAT(runs({"--where", "test_acc < 0.6", "tag", "--add", "worst"}).out,
              HasSubstr("1 run5"));
  EXPECT_THAT(runs({"--tag", "worst", "delete", "--yes"}).out, HasSubstr("1 runs deleted"));
  EXPECT_FALSE(store_.find(1).has_value());
  EXPECT_EQ(store_.runs().size(), 2U);
  // Both halves of a filter that stands in two places, and of runs that are named.
  EXPECT_THAT(runs({"--where", "test_acc > 0.6", "list", "--where", "test_acc < 0.8"}).out,
              testing::AllOf(HasSubstr("run7"), Not(HasSubstr("run9"))));
  const Finished part = runs({"delete", "2", "3", "--where", "test_acc > 0.8", "--yes"});
  EXPECT_THAT(part.out, HasSubstr("1 runs deleted"));
  EXPECT_THAT(part.err, HasSubstr("left out, as the options say: run 3"));
  EXPECT_TRUE(store_.find(3).has_value());
}

TEST_F(RunsVerb, OptionsThatAVerbCannotHonourAreRefused) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"--where", "id = 2", "import", "old"},
                                             {"--tag", "a", "import", "old"},
                                             {"--format", "json", "delete", "2", "--yes"},
                                             {"--output", "x", "tag", "2", "--add", "a"},
                                             {"--column", "id", "show", "2"},
                                             {"--column", "id", "compare", "1", "2"},
                                             {"--format", "csv", "show", "2"},
                                             {"--format", "csv", "plot", "test_acc"},
                                             {"import", "old", "--where", "id = 2"},
                                             {"--store", "a.db", "list", "--store", "b.db"},
                                             {"--store", "", "delete", "2", "--yes"},
                                             {"--where", "", "delete", "--yes"},
                                             {"--tag", "", "delete", "--yes"}}) {
    const Finished ended = runs(words);
    EXPECT_EQ(ended.exit_code, 2) << words[0] << ' ' << words[2] << ended.out;
  }
  EXPECT_EQ(store_.runs().size(), 3U);
  EXPECT_THAT(runs({"--where", "id = 2", "import", "old"}).err,
              testing::AllOf(HasSubstr("runs import: --where"), HasSubstr("--help")));
}

TEST_F(RunsVerb, NumbersAreDecimal) {
  EXPECT_THAT(runs({"show", "002"}).out, testing::StartsWith("run        2 "));
  for (const char* number : {"0x2", "2.0", "-1", "1e1", "+2", "99999999999999999999"}) {
    const Finished ended = runs({"delete", number, "--yes"});
    EXPECT_EQ(ended.exit_code, 2) << number << ended.out;
    EXPECT_THAT(ended.err, HasSubstr(number));
  }
  EXPECT_EQ(runs({"--limit", "010"}).exit_code, 0);
  EXPECT_EQ(runs({"--limit", "0x10"}).exit_code, 2);
  EXPECT_EQ(store_.runs().size(), 3U);
}

TEST_F(RunsVerb, ChoosingNothingIsToldAndByNumberAnError) {
  for (const char* verb : {"delete", "tag", "show", "compare"}) {
    std::vector<std::string> words = {verb};
    if (std::string(verb) == "tag") words.insert(words.end(), {"--add", "a"});
    const Finished ended = runs(words);
    EXPECT_EQ(ended.exit_code, 2) << verb;
    EXPECT_THAT(ended.err, HasSubstr("which runs?")) << verb;
  }
  EXPECT_EQ(runs({"delete", "77", "--yes"}).exit_code, 2);
  EXPECT_THAT(runs({"delete", "77", "--yes"}).err, HasSubstr("there is no run 77"));
  const Finished none = runs({"delete", "1", "--state", "failed", "--yes"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("none of the runs named"));
  const Finished nothing = runs({"delete", "--state", "failed", "--yes"});
  EXPECT_EQ(nothing.exit_code, 0);
  EXPECT_THAT(nothing.out, HasSubstr("no run matches: nothing is deleted"));
  EXPECT_THAT(runs({"--state", "failed"}).err, HasSubstr("no run matches"));
  EXPECT_EQ(store_.runs().size(), 3U);
}

TEST_F(RunsVerb, DeleteSaysWhatGoesBeforeItAsksAndRefusesWhereNobodyAnswers) {
  fs::create_directories(folder_ / "run9/.hydra");
  write_file(folder_ / "run9/x.ckpt", std::string(1000, 'x'));
  const Finished refused = runs({"delete", "2", "--files"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.out,
              testing::AllOf(HasSubstr((folder_ / "logs/polyphony.db").string()),
                             HasSubstr("run 2 run9"), HasSubstr("11 values"),
                             HasSubstr((folder_ / "run9").string()), HasSubstr("1 files")));
  EXPECT_THAT(refused.err, HasSubstr("--yes"));
  EXPECT_TRUE(store_.find(2).has_value());
  EXPECT_TRUE(fs::exists(folder_ / "run9/x.ckpt"));
  EXPECT_THAT(runs({"delete", "2"}).out, HasSubstr("run9 stays"));
}

TEST_F(RunsVerb, ADirectoryThatAnotherRunSharesIsNotRemoved) {
  fs::create_directories(folder_ / "run9/.hydra");
  record::RunInfo info;
  info.name = "resumed";
  info.directory = folder_ / "run9";
  store_.finish(store_.begin(info), record::State::kFinished);
  const Finished refused = runs({"delete", "2", "--files", "--yes"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("run 4 resumed has its files there too"));
  EXPECT_TRUE(store_.find(2).has_value());
  EXPECT_EQ(runs({"delete", "2", "4", "--files", "--yes"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "run9"));
}

TEST_F(RunsVerb, ImportTakesTheWholeRowsOfATornTable) {
  write_file(folder_ / "old/metrics.csv", "epoch,step,val_loss\n0,5,0.25\n1,9,0.1");
  const Finished imported = runs({"import", "old"});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_THAT(imported.out, HasSubstr("1 torn or damaged row is left out, in line 3"));
  EXPECT_EQ(store_.metrics(4).size(), 1U);
}

TEST_F(RunsVerb, TheTableOfARunOfTheStoreIsNotImportedAgain) {
  write_file(folder_ / "run9/metrics.csv", "epoch,step,val_loss\n0,5,0.25\n");
  write_file(folder_ / "run9/csv/version_0/metrics.csv", "epoch,step,val_loss\n0,5,0.25\n");
  const Finished again = runs({"import", "run9"});
  EXPECT_THAT(again.out, HasSubstr("run9/metrics.csv: already run 2"));
  EXPECT_THAT(again.out, HasSubstr("version_0/metrics.csv: already run 2"));
  EXPECT_EQ(store_.runs().size(), 3U);
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
