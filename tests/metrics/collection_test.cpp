#include <polyphony/metrics/collection.h>

#include <cmath>
#include <limits>

#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/metrics/aggregation.h>
#include <polyphony/metrics/stat_score_metrics.h>

#include "cases.h"

namespace polyphony::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<MetricCollection> from_yaml(const std::string& text) {
  config::Node node = config::parse_yaml(text, "metrics.yaml");
  node.set("_target_", "polyphony.metrics.MetricCollection");
  return config::build<MetricCollection>(node, "metrics");
}

MetricCollection of(const std::string& metric) {
  return MetricCollection(std::vector<std::shared_ptr<const Metric>>{
      config::build<Metric>(config::parse_yaml(metric, "metric.yaml"), "metric")});
}

/// Everything that shares a confusion matrix, and everything that keeps rows.
std::unique_ptr<MetricCollection> many() {
  return from_yaml(R"(
metrics:
  f1: {_target_: polyphony.metrics.MulticlassF1Score, num_classes: 3}
  accuracy: {_target_: polyphony.metrics.MulticlassAccuracy, num_classes: 3, average: micro}
  kappa: {_target_: polyphony.metrics.MulticlassCohenKappa, num_classes: 3}
  top2: {_target_: polyphony.metrics.MulticlassAccuracy, num_classes: 3, top_k: 2}
  auroc: {_target_: polyphony.metrics.MulticlassAUROC, num_classes: 3}
  ap: {_target_: polyphony.metrics.MulticlassAveragePrecision, num_classes: 3}
  binned: {_target_: polyphony.metrics.MulticlassAUROC, num_classes: 3, thresholds: 5}
  ece: {_target_: polyphony.metrics.MulticlassCalibrationError, num_classes: 3}
)");
}

at::Tensor logits() { return at::tensor({2.0F, 1.0F, 0.0F, 3.0F, 1.0F, 1.0F}).view({3, 2}); }

std::string f1_yaml(const std::string& options = "") {
  return "{_target_: polyphony.metrics.MulticlassF1Score, num_classes: 2" + options + "}";
}

TEST(MetricCollection, NamesAreTorchmetricsClassesBetweenPrefixAndPostfix) {
  const auto metrics = from_yaml(R"(
metrics:
  - {_target_: polyphony.metrics.F1Score, task: multiclass, num_classes: 2, average: macro}
  - {_target_: polyphony.metrics.MulticlassAccuracy, num_classes: 2}
  - {_target_: polyphony.metrics.MulticlassRecall, num_classes: 2, average: null}
prefix: val_
postfix: _epoch
)");
  metrics->update(logits(), at::tensor({0, 1, 1}, at::kLong));
  const auto values = scalars(metrics->compute());
  ASSERT_EQ(values.size(), 4U);
  EXPECT_EQ(values[0].first, "val_MulticlassF1Score_epoch");
  EXPECT_EQ(values[1].first, "val_MulticlassAccuracy_epoch");
  EXPECT_NEAR(values[1].second, (1.0 + 0.5) / 2, 1e-12);
  EXPECT_EQ(values[2].first, "val_MulticlassRecall_epoch_0");
  EXPECT_EQ(values[3].first, "val_MulticlassRecall_epoch_1");
  EXPECT_EQ(metrics->clone("test_").compute()[0].first, "test_MulticlassF1Score_epoch");
  EXPECT_EQ(metrics->clone("test_", "").compute()[0].first, "test_MulticlassF1Score");
  EXPECT_THAT(metrics->clone("test_").state().sums, ElementsAre(0, 0, 0, 0));
}

TEST(MetricCollection, MetricsThatCountTheSameShareIt) {
  const auto metrics = from_yaml(R"(
metrics:
  - {_target_: polyphony.metrics.MulticlassF1Score, num_classes: 7}
  - {_target_: polyphony.metrics.MulticlassAccuracy, num_classes: 7, average: weighted}
  - {_target_: polyphony.metrics.MulticlassConfusionMatrix, num_classes: 7}
  - {_target_: polyphony.metrics.MulticlassMatthewsCorrCoef, num_classes: 7, torchmetrics: 1.4.3}
)");
  EXPECT_EQ(metrics->state().sums.size(), 49U);
  EXPECT_EQ(metrics->state().rows.size(), 1U);
  const auto apart = from_yaml(R"(
metrics:
  a: {_target_: polyphony.metrics.MulticlassF1Score, num_classes: 7}
  b: {_target_: polyphony.metrics.MulticlassF1Score, num_classes: 7, ignore_index: 0}
)");
  EXPECT_EQ(apart->state().sums.size(), 98U);
}

TEST(MetricCollection, CountsBatchesFromTensorsOfAnyType) {
  MetricCollection metrics = of(f1_yaml());
  metrics.update(logits(), at::tensor({0, 1, 1}, at::kLong));
  EXPECT_THAT(metrics.state().sums, ElementsAre(1, 0, 1, 1));  // equal logits: the first
  metrics.update(logits().to(at::kHalf), at::tensor({0, 1, 0}, at::kInt));
  metrics.update(logits().to(at::kDouble).t().contiguous().t(), at::tensor({0, 1, 0}, at::kLong));
  EXPECT_THAT(metrics.state().sums, ElementsAre(5, 0, 1, 3));
  metrics.reset();
  EXPECT_THAT(metrics.state().sums, ElementsAre(0, 0, 0, 0));
}

TEST(MetricCollection, NanIsTheLargestLogitAsInArgmax) {
  MetricCollection metrics = of(f1_yaml());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor scores = at::tensor({1.0F, nan, nan, 1.0F, nan, nan}).view({3, 2});
  metrics.update(scores, scores.argmax(1));
  EXPECT_THAT(metrics.state().sums, ElementsAre(2, 0, 0, 1));
}

TEST(MetricCollection, ForwardAnswersForTheBatchAndCountsIt) {
  MetricCollection metrics = of(f1_yaml(", average: micro"));
  EXPECT_DOUBLE_EQ(metrics.forward(logits(), at::tensor({0, 1, 0}))[0].second.data[0], 1);
  EXPECT_DOUBLE_EQ(metrics.forward(logits(), at::tensor({1, 0, 1}))[0].second.data[0], 0);
  EXPECT_DOUBLE_EQ(metrics.compute()[0].second.data[0], 0.5);
}

TEST(MetricCollection, BatchMeanIsTheMeanOfTheBatchesValuesByTheirRows) {
  const std::string yaml = "metrics: [" + f1_yaml() + "]\nlogging: ";
  const auto batches = from_yaml(yaml + "batch_mean");
  const auto epoch = from_yaml(yaml + "epoch");
  for (const auto& metrics : {batches.get(), epoch.get()}) {
    metrics->update(logits(), at::tensor({0, 1, 0}));                      // 1
    metrics->update(logits().slice(0, 0, 1), at::tensor({1}, at::kLong));  // 0
  }
  EXPECT_DOUBLE_EQ(batches->compute()[0].second.data[0], 0.75);
  EXPECT_DOUBLE_EQ(epoch->compute()[0].second.data[0], (4.0 / 5 + 2.0 / 3) / 2);
}

TEST(MetricCollection, SavedStateContinuesBitForBit) {
  const auto whole = many();
  const auto before = many();
  const auto after = many();
  for (int i = 0; i < 6; ++i) {
    const at::Tensor scores = at::randn({5, 3});
    const at::Tensor target = at::randint(3, {5}, at::kLong);
    whole->update(scores, target);
    if (i == 3) after->load_state(State::from_flat(before->state().flat()));
    (i < 3 ? before : after)->update(scores, target);
  }
  EXPECT_TRUE(whole->state() == after->state());
  EXPECT_EQ(whole->compute()[4].second.data, after->compute()[4].second.data);
}

TEST(MetricCollection, ProcessesSyncWithOneSumAndOneGather) {
  constexpr std::size_t kProcesses = 3;
  const auto whole = many();
  std::vector<std::unique_ptr<MetricCollection>> parts;
  for (std::size_t p = 0; p < kProcesses; ++p) parts.push_back(many());
  for (std::size_t i = 0; i < 7; ++i) {
    const at::Tensor scores = at::randn({4, 3});
    const at::Tensor target = at::randint(3, {4}, at::kLong);
    whole->update(scores, target);
    parts[i % 2]->update(scores, target);  // the third process has no rows
  }
  // What each process hands to `gather`, in rank order.
  std::vector<double> gathered;
  for (const auto& part : parts) {
    part->synced({[](auto) {},
                  [&](std::span<const double> mine) {
                    gathered.insert(gathered.end(), mine.begin(), mine.end());
                    return std::vector<double>();
                  }});
  }
  int sums = 0;
  int gathers = 0;
  Exchange exchange;
  exchange.sum = [&](std::span<double> numbers) {
    ++sums;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = 0;
      for (const auto& part : parts) numbers[i] += part->state().sums[i];
    }
  };
  exchange.gather = [&](std::span<const double>) {
    ++gathers;
    return gathered;
  };
  const NamedValues values = parts[0]->compute(parts[0]->synced(exchange));
  EXPECT_EQ(sums, 1);
  EXPECT_EQ(gathers, 1);
  const NamedValues expected = whole->compute();
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(values[i].second.data.size(), 1U);
    EXPECT_NEAR(values[i].second.data[0], expected[i].second.data[0], 1e-14) << values[i].first;
  }
}

TEST(MetricCollection, NothingIsGatheredWhereNothingKeepsRows) {
  MetricCollection metrics = of(f1_yaml());
  Exchange exchange{[](auto) {},
                    [](auto) -> std::vector<double> { throw std::logic_error("gather"); }};
  EXPECT_TRUE(metrics.synced(exchange) == metrics.state());
}

TEST(MetricCollection, MergedPartsAreTheWhole) {
  const auto whole = many();
  const auto first = many();
  const auto second = many();
  for (const auto& part : {first.get(), second.get()}) {
    const at::Tensor scores = at::randn({4, 3});
    const at::Tensor target = at::randint(3, {4}, at::kLong);
    whole->update(scores, target);
    part->update(scores, target);
  }
  first->merge(second->state());
  EXPECT_EQ(first->state().rows, whole->state().rows);
  for (std::size_t i = 0; i < whole->state().sums.size(); ++i) {
    EXPECT_NEAR(first->state().sums[i], whole->state().sums[i], 1e-14);
  }
}

template <class Thrown, class F>
void expect_error(F f, const std::vector<std::string>& parts) {
  try {
    f();
    FAIL() << "no error that says " << parts.front();
  } catch (const Thrown& error) {
    const std::string text = std::string(error.what()) + "\n" + error.remedy();
    for (const std::string& part : parts) EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(MetricCollection, RejectsLabelOutOfRangeNamingRowAndValue) {
  for (const int label : {2, -1}) {
    MetricCollection metrics = of(f1_yaml());
    expect_error<DataError>(
        [&] {
          metrics.update(logits(), at::tensor({0, 1, label}, at::kLong));
        },
        {"row 2", "label " + std::to_string(label), "2 classes", "num_classes", "ignore_index"});
    EXPECT_THAT(metrics.state().sums, ElementsAre(0, 0, 0, 0));  // the batch is not half counted
  }
  MetricCollection ignoring = of(f1_yaml(", ignore_index: -1"));
  ignoring.update(logits(), at::tensor({0, 1, -1}, at::kLong));
  EXPECT_THAT(ignoring.state().sums, ElementsAre(1, 0, 0, 1));
}

TEST(MetricCollection, RejectsTensorsThatDoNotFit) {
  MetricCollection metrics = of(f1_yaml());
  expect_error<DataError>(
      [&] {
        metrics.update(at::randn({3, 4}), at::tensor({0, 1, 1}));
      },
      {"[3, 4]", "[3]", "num_classes is 2"});
  expect_error<DataError>(
      [&] {
        metrics.update(at::randn({2, 2}), at::tensor({0, 1, 1}));
      },
      {"[2, 2]", "[3]"});
  expect_error<DataError>(
      [&] {
        metrics.update(logits(), at::tensor({0.0, 1.0, 1.0}));
      },
      {"fraction", "int64"});
  expect_error<DataError>(
      [&] {
        metrics.update(at::tensor({0, 5, 1}), at::tensor({0, 1, 1}));
      },
      {"row 1", "prediction 5"});
  MetricCollection binary = of("{_target_: polyphony.metrics.BinaryF1Score}");
  expect_error<DataError>(
      [&] {
        binary.update(at::randn({2}), at::tensor({0, 2}));
      },
      {"row 1", "label 2"});
  MetricCollection curve = of("{_target_: polyphony.metrics.BinaryAUROC}");
  expect_error<DataError>(
      [&] {
        curve.update(at::tensor({0, 1}), at::tensor({0, 1}));
      },
      {"scores", "float"});
}

TEST(MetricCollection, RejectsStateOfOtherMetricsAndDamagedOnes) {
  MetricCollection metrics = of(f1_yaml());
  expect_error<DataError>(
      [&] {
        metrics.load_state({std::vector<double>(9), {{}}});
      },
      {"9 sums", "4", "resume"});
  std::vector<double> flat = metrics.state().flat();
  flat.pop_back();
  flat.pop_back();
  expect_error<DataError>([&] { State::from_flat(flat); }, {"damaged"});
}

TEST(MetricCollection, RejectsTwoMetricsOfOneName) {
  expect_error<ConfigError>([] { from_yaml("metrics: [" + f1_yaml() + ", " + f1_yaml() + "]"); },
                            {"MulticlassF1Score", "mapping"});
}

TEST(MetricCollection, BatchMeanRejectsValuesWhoseNumberIsNotKnown) {
  expect_error<ConfigError>(
      [] {
        from_yaml("metrics: [" + f1_yaml(", multidim_average: samplewise") +
                  "]\nlogging: batch_mean");
      },
      {"MulticlassF1Score", "multidim_average"});
}

TEST(MetricOptions, SayWhatIsWrong) {
  const auto build = [](const std::string& yaml) { return [yaml] { of(yaml); }; };
  const std::string name = "polyphony.metrics.";
  expect_error<ConfigError>(build("{_target_: " + name + "MulticlassF1Score}"), {"num_classes"});
  expect_error<ConfigError>(build("{_target_: " + name + "F1Score, num_classes: 3}"), {"task"});
  expect_error<ConfigError>(build("{_target_: " + name + "F1Score, task: multiclass}"),
                            {"num_classes", "at least 2"});
  expect_error<ConfigError>(build(f1_yaml(", top_k: 3")), {"top_k", "num_classes"});
  expect_error<ConfigError>(build(f1_yaml(", threshold: 0.5")), {"threshold"});
  expect_error<ConfigError>(build("{_target_: " + name + "BinaryF1Score, threshold: 2}"),
                            {"threshold", "[0, 1]"});
  expect_error<ConfigError>(build("{_target_: " + name + "BinaryAUROC, thresholds: [0.5, 0.1]}"),
                            {"thresholds"});
  expect_error<ConfigError>(build("{_target_: " + name + "BinaryAUROC, thresholds: 1}"),
                            {"thresholds"});
  expect_error<ConfigError>(
      build("{_target_: " + name + "MulticlassAUROC, num_classes: 3, average: micro}"), {"micro"});
  expect_error<ConfigError>(build("{_target_: " + name + "CohenKappa, task: multilabel}"),
                            {"multiclass"});
}

TEST(Aggregation, NanIsLeftOutReplacedOrAnError) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor values = at::tensor({1.0F, nan, 4.0F});
  const auto mean = [&](const std::string& strategy) {
    MetricCollection metrics =
        of("{_target_: polyphony.metrics.MeanMetric, nan_strategy: " + strategy + "}");
    metrics.update(values, at::Tensor());
    return metrics.compute()[0].second.data[0];
  };
  EXPECT_DOUBLE_EQ(mean("ignore"), 2.5);
  EXPECT_DOUBLE_EQ(mean("1"), 2);
  expect_error<DataError>([&] { mean("error"); }, {"value 1", "nan_strategy"});
}

TEST(Aggregation, LargestAndSmallestOverProcesses) {
  for (const auto& [name, expected] : {std::pair{"MaxMetric", 7.0}, std::pair{"MinMetric", -2.0}}) {
    MetricCollection metrics = of(std::string("{_target_: polyphony.metrics.") + name + "}");
    metrics.update(at::tensor({3.0, -2.0}), at::Tensor());
    metrics.update(at::tensor({7.0}), at::Tensor());
    EXPECT_EQ(metrics.state().rows[0].size(), 1U);
    EXPECT_DOUBLE_EQ(metrics.compute()[0].second.data[0], expected);
  }
}

}  // namespace
}  // namespace polyphony::metrics
