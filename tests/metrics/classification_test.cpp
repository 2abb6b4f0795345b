#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/metrics/classification.h>

namespace polyphony::metrics {
namespace {

using Json = nlohmann::json;

std::string golden_dir() {
  const char* given = std::getenv("POLYPHONY_GOLDEN_DIR");
  return given != nullptr ? given : std::string(POLYPHONY_TEST_DIR) + "/golden";
}

/// Counts of batches [first, last) of a case; rows with the ignored label are left out.
std::vector<std::int64_t> count(const Json& item, std::size_t first, std::size_t last) {
  const auto classes = item.at("num_classes").get<std::size_t>();
  std::vector<std::int64_t> counts(classes * classes);
  for (std::size_t b = first; b < last; ++b) {
    for (std::size_t i = 0; i < item.at("labels")[b].size(); ++i) {
      const Json& label = item.at("labels")[b][i];
      if (label == item.at("ignore_index")) continue;
      ++counts[label.get<std::size_t>() * classes + item.at("preds")[b][i].get<std::size_t>()];
    }
  }
  return counts;
}

int check(const std::vector<std::int64_t>& counts, AbsentClasses absent, const std::string& where,
          const std::function<std::optional<double>(const std::string&)>& expected) {
  constexpr std::pair<const char*, Average> kAverages[] = {
      {"micro", Average::kMicro}, {"macro", Average::kMacro}, {"weighted", Average::kWeighted}};
  using Metric = double (*)(Counts, Average, AbsentClasses);
  const std::pair<const char*, Metric> metrics[] = {{"MulticlassAccuracy/", accuracy},
                                                    {"MulticlassF1Score/", f1},
                                                    {"MulticlassPrecision/", precision},
                                                    {"MulticlassRecall/", recall}};
  int checked = 0;
  for (const auto& [name, metric] : metrics) {
    for (const auto& [average_name, average] : kAverages) {
      const std::optional<double> want = expected(std::string(name) + average_name);
      if (!want) continue;
      EXPECT_NEAR(metric(counts, average, absent), *want, 2e-6)
          << where << ": " << name << average_name;
      ++checked;
    }
  }
  return checked;
}

void check_file(const std::string& path, AbsentClasses absent) {
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  const Json cases = Json::parse(file).at("cases");
  int checked = 0;
  for (const Json& item : cases) {
    const auto name = item.at("name").get<std::string>();
    const std::size_t batches = item.at("labels").size();
    checked += check(count(item, 0, batches), absent, name, [&](const std::string& key) {
      const Json& epoch = item.at("epoch");
      return epoch.contains(key) && epoch[key].is_number() ? std::optional(epoch[key].get<double>())
                                                           : std::nullopt;
    });
    for (std::size_t b = 0; b < batches; ++b) {
      checked += check(count(item, b, b + 1), absent, name, [&](const std::string& key) {
        const Json& batch = item.at("per_batch");
        return batch.contains(key) && batch[key][b].is_number()
                   ? std::optional(batch[key][b].get<double>())
                   : std::nullopt;
      });
    }
  }
  std::printf("%d values of %zu cases\n", checked, cases.size());
  EXPECT_GT(checked, 0);
}

TEST(Classification, AgreesWithTorchmetrics0114WhereAbsentClassesAreZero) {
  check_file(golden_dir() + "/metrics/multiclass.json", AbsentClasses::kZero);
}

TEST(Classification, AgreesWithTorchmetrics143WhereAbsentClassesAreLeftOut) {
  check_file(golden_dir() + "/metrics_tm143/multiclass.json", AbsentClasses::kLeaveOut);
}

TEST(Classification, PerfectPredictionsOfThreeOfSevenClasses) {
  std::vector<std::int64_t> counts(49);
  counts[0] = counts[8] = counts[16] = 4;
  EXPECT_DOUBLE_EQ(f1(counts, Average::kMacro, AbsentClasses::kLeaveOut), 1.0);
  EXPECT_DOUBLE_EQ(f1(counts, Average::kMacro, AbsentClasses::kZero), 3.0 / 7.0);
}

TEST(Classification, NothingCountedIsZero) {
  const std::vector<std::int64_t> counts(9);
  for (const Average average : {Average::kMicro, Average::kMacro, Average::kWeighted}) {
    EXPECT_EQ(f1(counts, average, AbsentClasses::kLeaveOut), 0.0);
    EXPECT_EQ(accuracy(counts, average, AbsentClasses::kZero), 0.0);
  }
}

TEST(Classification, EachClassHasItsOwnF1) {
  const std::vector<std::int64_t> counts = {2, 0, 1, 1};  // rows: truth
  const std::vector<double> scores = class_f1(counts);
  ASSERT_EQ(scores.size(), 2U);
  EXPECT_DOUBLE_EQ(scores[0], 0.8);
  EXPECT_DOUBLE_EQ(scores[1], 2.0 / 3.0);
}

}  // namespace
}  // namespace polyphony::metrics
