#include <polyphony/metrics/collection.h>

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>

namespace polyphony::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

MetricCollectionOptions two_classes() {
  MetricCollectionOptions options;
  options.num_classes = 2;
  return options;
}

at::Tensor logits() { return at::tensor({2.0F, 1.0F, 0.0F, 3.0F, 1.0F, 1.0F}).view({3, 2}); }

TEST(MetricCollection, CountsBatchesAndNamesMetricsWithThePrefix) {
  MetricCollection metrics(two_classes());
  metrics.update(logits(), at::tensor({0, 1, 1}, at::kLong));
  EXPECT_THAT(metrics.state(),
              ElementsAre(1, 0, 1, 1));  // equal logits: the first is the prediction
  metrics.update(logits(), at::tensor({0, 1, 0}, at::kLong));
  EXPECT_THAT(metrics.state(), ElementsAre(3, 0, 1, 2));
  const auto values = metrics.compute("val_");
  ASSERT_EQ(values.size(), 2U);
  EXPECT_EQ(values[0].first, "val_MulticlassF1Score");
  EXPECT_EQ(values[1].first, "val_MulticlassAccuracy");
  EXPECT_NEAR(values[1].second, (1.0 + 2.0 / 3.0) / 2.0, 1e-12);
}

TEST(MetricCollection, ResetForgetsAndLoadedStateContinues) {
  MetricCollection metrics(two_classes());
  metrics.update(logits(), at::tensor({0, 1, 1}, at::kLong));
  const std::vector<std::int64_t> state = metrics.state();
  metrics.reset();
  EXPECT_THAT(metrics.state(), ElementsAre(0, 0, 0, 0));
  metrics.load_state(state);
  EXPECT_THAT(metrics.state(), ElementsAre(1, 0, 1, 1));
}

TEST(MetricCollection, RejectsLabelOutOfRangeNamingItAndTheClasses) {
  for (const int label : {2, -1}) {
    MetricCollection metrics(two_classes());
    try {
      metrics.update(logits(), at::tensor({0, label, 1}, at::kLong));
      FAIL() << "no error for label " << label;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("label " + std::to_string(label)));
      EXPECT_THAT(error.what(), HasSubstr("2 classes"));
      EXPECT_THAT(error.remedy(), HasSubstr("num_labels"));
    }
  }
}

TEST(MetricCollection, RejectsStateOfAnotherNumberOfClasses) {
  MetricCollection metrics(two_classes());
  try {
    metrics.load_state(std::vector<std::int64_t>(9));
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("9"));
    EXPECT_THAT(error.what(), HasSubstr("4"));
  }
}

}  // namespace
}  // namespace polyphony::metrics
