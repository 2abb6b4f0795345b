// The pure functions, against values worked out by hand.
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>

#include <polyphony/metrics/calibration.h>
#include <polyphony/metrics/confusion.h>
#include <polyphony/metrics/counts.h>
#include <polyphony/metrics/curves.h>

namespace polyphony::metrics {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

// Truth: 4 of class 0, 2 of class 1, 2 of class 2.
const std::vector<double> kConfusion = {3, 1, 0, 0, 1, 1, 0, 0, 2};

TEST(Counts, OfEachClassFromAConfusionMatrix) {
  const std::vector<ClassCounts> classes = per_class(std::span<const double>(kConfusion));
  ASSERT_EQ(classes.size(), 3U);
  EXPECT_THAT(stat_scores(classes[0]), ElementsAre(3, 0, 4, 1, 4));
  EXPECT_THAT(stat_scores(classes[1]), ElementsAre(1, 1, 5, 1, 2));
  EXPECT_THAT(stat_scores(classes[2]), ElementsAre(2, 1, 5, 0, 2));
}

TEST(Counts, OfEachLabelFromItsBlock) {
  const std::vector<ClassCounts> labels = per_label(std::vector<double>{5, 1, 2, 3, 0, 0, 0, 9});
  ASSERT_EQ(labels.size(), 2U);
  EXPECT_THAT(stat_scores(labels[0]), ElementsAre(3, 1, 5, 2, 5));
  EXPECT_THAT(stat_scores(labels[1]), ElementsAre(9, 0, 0, 0, 9));
}

TEST(Counts, ScoresOfOneClass) {
  const ClassCounts counts{.tp = 3, .fp = 1, .tn = 5, .fn = 2};
  EXPECT_DOUBLE_EQ(precision(counts), 3.0 / 4);
  EXPECT_DOUBLE_EQ(recall(counts), 3.0 / 5);
  EXPECT_DOUBLE_EQ(specificity(counts), 5.0 / 6);
  EXPECT_DOUBLE_EQ(agreement(counts), 8.0 / 11);
  EXPECT_DOUBLE_EQ(f1(counts), 6.0 / 9);
  EXPECT_DOUBLE_EQ(f_beta(counts, 2), 15.0 / (15 + 8 + 1));
}

TEST(Counts, NothingCountedScoresZero) {
  const ClassCounts none;
  for (const double score :
       {precision(none), recall(none), specificity(none), agreement(none), f1(none)}) {
    EXPECT_EQ(score, 0);
  }
  for (const Average average : {Average::kMicro, Average::kMacro, Average::kWeighted}) {
    for (const Absent absent : {Absent::kZero, Absent::kSkip, Absent::kSkipUnsupported}) {
      EXPECT_EQ(averaged(std::vector<ClassCounts>(3), {average, absent}, f1), 0);
    }
  }
}

TEST(Counts, Averages) {
  const std::vector<ClassCounts> classes = per_class(std::span<const double>(kConfusion));
  EXPECT_DOUBLE_EQ(averaged(classes, {Average::kMicro}, recall), 6.0 / 8);
  EXPECT_DOUBLE_EQ(averaged(classes, {Average::kMacro}, recall), (0.75 + 0.5 + 1) / 3);
  EXPECT_DOUBLE_EQ(averaged(classes, {Average::kWeighted}, recall),
                   (4 * 0.75 + 2 * 0.5 + 2 * 1) / 8);
}

TEST(Counts, PerfectPredictionsOfThreeOfSevenClasses) {
  std::vector<std::int64_t> confusion(49);
  confusion[0] = confusion[8] = confusion[16] = 4;
  const std::vector<ClassCounts> classes = per_class(std::span<const std::int64_t>(confusion));
  EXPECT_DOUBLE_EQ(averaged(classes, {Average::kMacro, Absent::kZero}, f1), 3.0 / 7);
  EXPECT_DOUBLE_EQ(averaged(classes, {Average::kMacro, Absent::kSkip}, f1), 1);
}

TEST(Counts, AClassThatIsOnlyGuessedIsSkippedForItsSupportAlone) {
  std::vector<double> confusion = {1, 1, 0, 0};  // two rows of class 0, one taken for class 1
  const std::vector<ClassCounts> classes = per_class(std::span<const double>(confusion));
  EXPECT_DOUBLE_EQ(averaged(classes, {Average::kMacro, Absent::kSkip}, recall), 0.25);
  EXPECT_DOUBLE_EQ(averaged(classes, {Average::kMacro, Absent::kSkipUnsupported}, recall), 0.5);
}

TEST(Confusion, Normalized) {
  EXPECT_THAT(normalized(kConfusion, Normalize::kNone), ::testing::ElementsAreArray(kConfusion));
  EXPECT_THAT(normalized(kConfusion, Normalize::kTrue),
              ElementsAre(0.75, 0.25, 0, 0, 0.5, 0.5, 0, 0, 1));
  EXPECT_THAT(normalized(kConfusion, Normalize::kPred),
              ElementsAre(1, 0.5, 0, 0, 0.5, 1.0 / 3, 0, 0, 2.0 / 3));
  EXPECT_THAT(normalized(kConfusion, Normalize::kAll),
              ElementsAre(0.375, 0.125, 0, 0, 0.125, 0.125, 0, 0, 0.25));
  EXPECT_THAT(normalized(std::vector<double>{2, 0, 0, 0}, Normalize::kTrue),
              ElementsAre(1, 0, 0, 0));
}

TEST(Confusion, CohenKappa) {
  // Seen agreement 6/8; by chance (4*3 + 2*2 + 2*3) / 64.
  const double chance = 22.0 / 64;
  EXPECT_DOUBLE_EQ(cohen_kappa(kConfusion, KappaWeights::kNone), (0.75 - chance) / (1 - chance));
  // All errors lie one class apart, so linear and quadratic weights see 2 of them.
  EXPECT_DOUBLE_EQ(cohen_kappa(kConfusion, KappaWeights::kLinear),
                   1 - 2 / ((4 * 2 + 2 * 3 + 2 * 3 + 2 * 2 + 2 * (4 * 3 + 2 * 3)) / 8.0));
  EXPECT_TRUE(std::isnan(cohen_kappa(std::vector<double>{4, 0, 0, 0}, KappaWeights::kNone)));
}

TEST(Confusion, MatthewsCorrCoef) {
  const std::vector<double> two = {4, 1, 2, 3};
  EXPECT_DOUBLE_EQ(matthews_corrcoef(two, TorchMetrics::k0_11_4),
                   (4.0 * 3 - 1 * 2) / std::sqrt(4.0 * 5 * 5 * 6));
  struct Case {
    std::vector<double> confusion;
    double of_0114;
    double of_143;
  };
  const Case cases[] = {{{3, 0, 0, 2}, 1, 1},
                        {{0, 3, 2, 0}, -1, -1},
                        {{3, 0, 0, 0}, 0, 1},    // one value only, always right
                        {{0, 0, 3, 0}, 0, -1}};  // one value only, always wrong
  for (const Case& item : cases) {
    EXPECT_DOUBLE_EQ(matthews_corrcoef(item.confusion, TorchMetrics::k0_11_4), item.of_0114);
    EXPECT_DOUBLE_EQ(matthews_corrcoef(item.confusion, TorchMetrics::k1_4_3), item.of_143);
  }
}

TEST(Curves, AreaUnderARankingWithATie) {
  // Falling: + | + - (tied) | -, so of 4 pairs 3 are right and 1 is half right.
  const std::vector<double> scores = {0.9, 0.5, 0.5, 0.1};
  const std::vector<std::uint8_t> positive = {1, 1, 0, 0};
  const Curve curve = exact_curve(scores, positive);
  EXPECT_EQ(curve.points.size(), 4U);
  EXPECT_DOUBLE_EQ(auroc(curve), 3.5 / 4);
  EXPECT_DOUBLE_EQ(average_precision(curve, 0), 0.5 * 1 + 0.5 * 2 / 3);
}

TEST(Curves, WithoutPositivesOrNegatives) {
  const std::vector<double> scores = {0.9, 0.1};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Curve negative = exact_curve(scores, std::vector<std::uint8_t>{0, 0});
  EXPECT_EQ(auroc(negative), 0);
  EXPECT_TRUE(std::isnan(average_precision(negative, nan)));
  EXPECT_EQ(average_precision(negative, 0), 0);
  const Curve all_positive = exact_curve(scores, std::vector<std::uint8_t>{1, 1});
  EXPECT_EQ(auroc(all_positive), 0);
  EXPECT_EQ(average_precision(all_positive, nan), 1);
}

TEST(Curves, PartialAreaOfAPerfectRankingIsOneAndOfChanceIsHalf) {
  const std::vector<double> scores = {4, 3, 2, 1};
  EXPECT_DOUBLE_EQ(auroc(exact_curve(scores, std::vector<std::uint8_t>{1, 1, 0, 0}), 0.3), 1);
  const std::vector<double> tied = {1, 1, 1, 1};
  EXPECT_DOUBLE_EQ(auroc(exact_curve(tied, std::vector<std::uint8_t>{1, 1, 0, 0}), 0.3), 0.5);
}

TEST(Curves, AHistogramCountsWhatReachesEachThreshold) {
  // Thresholds 0.25 and 0.75; negatives 0.1 and 0.5, positives 0.5 and 0.9.
  const Curve curve = binned_curve(std::vector<double>{1, 1, 0}, std::vector<double>{0, 1, 1});
  ASSERT_EQ(curve.points.size(), 2U);
  EXPECT_EQ(curve.points[0].tp, 1);
  EXPECT_EQ(curve.points[0].fp, 0);
  EXPECT_EQ(curve.points[1].tp, 2);
  EXPECT_EQ(curve.points[1].fp, 1);
  EXPECT_EQ(curve.positives, 2);
  EXPECT_EQ(curve.negatives, 2);
}

TEST(Calibration, NormsOfTwoBins) {
  // 4 rows at 0.9 of which 2 are right: gap 0.4; 1 row at 0.3 that is wrong: gap 0.3.
  const std::vector<CalibrationBin> bins = {{1, 0.3, 0}, {}, {4, 3.6, 2}};
  EXPECT_NEAR(calibration_error(bins, CalibrationNorm::kL1), (4 * 0.4 + 0.3) / 5, 1e-15);
  EXPECT_NEAR(calibration_error(bins, CalibrationNorm::kL2), std::sqrt((4 * 0.16 + 0.09) / 5),
              1e-15);
  EXPECT_NEAR(calibration_error(bins, CalibrationNorm::kMax), 0.4, 1e-15);
}

TEST(Calibration, WithoutRowsItAnswersAsTorchmetricsDoes) {
  EXPECT_TRUE(std::isnan(calibration_error({}, CalibrationNorm::kL1)));
  EXPECT_EQ(calibration_error({}, CalibrationNorm::kL2), 0);
  EXPECT_EQ(calibration_error({}, CalibrationNorm::kMax), 0);
}

}  // namespace
}  // namespace polyphony::metrics
