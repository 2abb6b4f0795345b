#include <polyphony/record/run_index.h>

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/record/host.h>
#include <polyphony/record/run_filter.h>
#include <polyphony/record/run_table.h>
#include "scratch.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RunIndexTest : public testing::Test {
 protected:
  RunIndexTest() : path_(fresh()), store_(path_) {}

  static fs::path fresh() {
    const fs::path path = scratch_directory() / "index.db";
    for (const char* end : {"", "-wal", "-shm"}) fs::remove(path.string() + end);
    return path;
  }
  std::int64_t add(const std::string& name, double accuracy, const std::string& lr,
                   const std::vector<std::string>& tags = {}) {
    RunInfo info;
    info.name = name;
    info.host = host_name();
    info.pid = process_id();
    info.config_yaml = "optimizer: {lr: " + lr + "}\nmodel: bert\n";
    info.tags = tags;
    const std::int64_t id = store_.begin(info);
    const std::vector<Metric> logged = {{"test_acc", 1, 0, now(), accuracy / 2},
                                        {"test_acc", 2, 0, now(), accuracy}};
    store_.log(id, logged);
    return id;
  }
  static std::vector<std::int64_t> ids(const RunList& runs) {
    std::vector<std::int64_t> list;
    for (const IndexedRun* run : runs) list.push_back(run->run.id);
    return list;
  }
  std::vector<std::int64_t> matching(const std::string& filter) {
    const RunIndex index(path_);
    return ids(select_runs(index, RunFilter(filter), {"id", false}));
  }
  static std::string refusal(const std::string& filter) {
    try {
      RunFilter parsed(filter);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path path_;
  Store store_;
};

TEST_F(RunIndexTest, FiltersByMetricConfigTagAndState) {
  add("a", 0.9, "0.001", {"best"});
  add("b", 0.5, "0.01");
  add("c", 0.7, "1e-4", {"draft", "best"});
  store_.finish(2, State::kFailed, "no data");
  EXPECT_THAT(matching("test_acc > 0.6"), ElementsAre(1, 3));
  EXPECT_THAT(matching("max.test_acc >= 0.7, min.test_acc < 0.4"), ElementsAre(3));
  EXPECT_THAT(matching("optimizer.lr <= 1e-3"), ElementsAre(1, 3));
  EXPECT_THAT(matching("config.optimizer.lr = 0.01"), ElementsAre(2));
  EXPECT_THAT(matching("tag = best and not tag = draft"), ElementsAre(1));
  EXPECT_THAT(matching("tag != best"), ElementsAre(2));
  EXPECT_THAT(matching("state = failed or name = 'c'"), ElementsAre(2, 3));
  EXPECT_THAT(matching("(state = failed or name = c) and test_acc > 0.6"), ElementsAre(3));
  EXPECT_THAT(matching("error ~ data"), ElementsAre(2));
  EXPECT_THAT(matching("error !~ data"), ElementsAre(1, 3));
  EXPECT_THAT(matching("tag"), ElementsAre(1, 3));
  EXPECT_THAT(matching(""), ElementsAre(1, 2, 3));
  EXPECT_THAT(matching("started > 2020-01-01"), ElementsAre(1, 2, 3));
}

TEST_F(RunIndexTest, NanMatchesNanOnly) {
  add("a", std::nan(""), "1");
  add("b", 1, "1");
  EXPECT_THAT(matching("test_acc = nan"), ElementsAre(1));
  EXPECT_THAT(matching("test_acc < 5"), ElementsAre(2));
  EXPECT_THAT(matching("test_acc != nan"), ElementsAre(2));
}

TEST_F(RunIndexTest, AFilterThatCannotBeReadIsRefusedWithItsColumn) {
  EXPECT_THAT(refusal("a >"), HasSubstr("column 4: expected a value"));
  EXPECT_THAT(refusal("(a > 1"), HasSubstr("column 7: expected `)`"));
  EXPECT_THAT(refusal("a > 1 b"), HasSubstr("column 7: expected `and`"));
  EXPECT_THAT(refusal("name = 'x"), HasSubstr("never closed"));
  EXPECT_THAT(refusal("> 1"), HasSubstr("column 1: expected a field"));
  EXPECT_THAT(refusal("and"), HasSubstr("accepted"));  // a field may have any name
  EXPECT_THAT(refusal(std::string(5000, '(')), HasSubstr("nested too deeply"));
}

TEST_F(RunIndexTest, AFieldThatNoRunHasIsRefusedWithTheNearest) {
  add("a", 0.9, "0.001");
  const RunIndex index(path_);
  try {
    RunFilter("test_ac > 1").check_fields(index);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(std::string(error.what()) + error.remedy(), HasSubstr("did you mean `test_acc`"));
  }
}

TEST_F(RunIndexTest, SortsNumbersAsNumbersAndPutsRunsWithoutLast) {
  add("a", 10, "1");
  add("b", 9, "1");
  add("c", std::nan(""), "1");
  const RunIndex index(path_);
  const auto sorted = [&](const std::string& order) {
    return ids(select_runs(index, RunFilter(""), parse_order(order)));
  };
  EXPECT_THAT(sorted("test_acc"), ElementsAre(2, 1, 3));
  EXPECT_THAT(sorted("test_acc:desc"), ElementsAre(1, 2, 3));
  EXPECT_THAT(sorted("name:desc"), ElementsAre(3, 2, 1));
}

TEST_F(RunIndexTest, RefreshTellsWhatChanged) {
  add("a", 1, "1");
  add("b", 2, "1");
  RunIndex index(path_);
  EXPECT_THAT(index.refresh(), IsEmpty());
  const std::vector<Metric> logged = {{"loss", 3, 1, now(), 0.25}};
  store_.log(2, logged);
  EXPECT_THAT(index.refresh(), ElementsAre(2));
  EXPECT_EQ(index.runs().at(2).metrics.at("loss").last, 0.25);
  add("c", 3, "7");
  store_.finish(1, State::kFinished);
  EXPECT_THAT(index.refresh(), ElementsAre(1, 3));
  EXPECT_EQ(index.runs().at(1).run.state, State::kFinished);
  EXPECT_EQ(field_text(index.field(index.runs().at(3), "optimizer.lr").value()), "7");
  store_.add_tag(2, "kept");
  EXPECT_THAT(index.refresh(), ElementsAre(2));
  EXPECT_THAT(index.runs().at(2).run.tags, ElementsAre("kept"));
}

TEST_F(RunIndexTest, RefreshSeesValuesThatTakeTheRowsOfRemovedOnes) {
  add("a", 1, "1");
  add("b", 2, "1");
  RunIndex index(path_);
  store_.remove(2);
  const std::vector<Metric> logged = {{"loss", 3, 1, now(), 0.25}};
  store_.log(1, logged);
  EXPECT_THAT(index.refresh(), ElementsAre(1, 2));
  EXPECT_FALSE(index.runs().contains(2));
  EXPECT_EQ(index.runs().at(1).metrics.at("loss").last, 0.25);
}

TEST_F(RunIndexTest, ComparesWhereConfigurationsDiffer) {
  add("a", 0.5, "1");
  add("b", 0.75, "2");
  const RunIndex index(path_);
  const RunList runs = select_runs(index, RunFilter(""), {"id", false});
  const Comparison comparison = compare_runs(index, runs, Digits::kShort);
  ASSERT_EQ(comparison.config.size(), 1U);  // not model: it is the same
  EXPECT_EQ(comparison.config[0].first, "optimizer.lr");
  EXPECT_THAT(comparison.config[0].second, ElementsAre("1", "2"));
  ASSERT_EQ(comparison.metrics.size(), 1U);
  EXPECT_THAT(comparison.metrics[0].second, ElementsAre("0.5", "0.75"));
}

TEST_F(RunIndexTest, ExportsEveryDigit) {
  add("a", 1.0 / 3, "1", {"x", "y"});
  const RunIndex index(path_);
  const RunList runs = select_runs(index, RunFilter(""), {});
  const std::string csv = run_table(index, runs, {"test_acc"}, Digits::kAll).to_csv();
  EXPECT_THAT(csv, HasSubstr("0.3333333333333333"));
  EXPECT_THAT(csv, HasSubstr("\"x,y\""));
  EXPECT_EQ(run_json(*runs.front())["metrics"]["test_acc"], 1.0 / 3);
}

}  // namespace
}  // namespace polyphony::record
