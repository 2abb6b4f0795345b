#include <polyphony/board/downsample.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace polyphony::board {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Series ramp(int points) {
  Series series;
  for (int i = 0; i < points; ++i) {
    series.x.push_back(i);
    series.y.push_back(i % 7);
  }
  return series;
}

TEST(Downsample, KeepsEveryPeakAndTheOrder) {
  Series series = ramp(10'000);
  series.y[4321] = 100;
  series.y[4322] = -100;
  const Series small = downsample(series, {.buckets = 50});
  EXPECT_LE(small.x.size(), 100U);
  EXPECT_TRUE(std::is_sorted(small.x.begin(), small.x.end()));
  EXPECT_EQ(*std::max_element(small.y.begin(), small.y.end()), 100);
  EXPECT_EQ(*std::min_element(small.y.begin(), small.y.end()), -100);
  for (std::size_t i = 0; i < small.x.size(); ++i) {
    EXPECT_EQ(series.y[static_cast<std::size_t>(small.x[i])], small.y[i]);
  }
}

TEST(Downsample, LeavesAShortSeriesAsItIs) {
  const Series series = ramp(20);
  const Series same = downsample(series, {.buckets = 10});
  EXPECT_EQ(same.x, series.x);
  EXPECT_EQ(same.y, series.y);
}

TEST(Downsample, KeepsOnePointBeyondEachEdgeOfTheWindow) {
  const Series part = downsample(ramp(100), {.from = 10.5, .to = 13.5, .buckets = 100});
  EXPECT_THAT(part.x, ElementsAre(10, 11, 12, 13, 14));
}

TEST(Downsample, ABucketOfNothingButNanStaysAGap) {
  Series series = ramp(1000);
  std::fill(series.y.begin() + 500, series.y.begin() + 600, kNan);
  const Series small = downsample(series, {.buckets = 10});
  EXPECT_EQ(std::count_if(small.y.begin(), small.y.end(), [](double y) { return std::isnan(y); }),
            1);
}

TEST(Downsample, TakesAnEmptySeriesAndOneThatStandsStill) {
  EXPECT_TRUE(downsample({}, {}).x.empty());
  Series still;
  still.x.assign(5000, 3);
  still.y.assign(5000, 1);
  EXPECT_EQ(downsample(still, {.buckets = 10}).x.size(), 1U);
}

TEST(Smoothed, StartsAtTheFirstValueAndSkipsNan) {
  const std::vector<double> values = {1, kNan, 1, 0};
  const std::vector<double> smooth = smoothed(values, 0.5);
  EXPECT_DOUBLE_EQ(smooth[0], 1);
  EXPECT_TRUE(std::isnan(smooth[1]));
  EXPECT_DOUBLE_EQ(smooth[2], 1);
  // (1 * 0.5^3 + 1 * 0.5^2 + 0 * 0.5) / (0.5^3 + 0.5^2 + 0.5), worked by hand
  EXPECT_THAT(smooth[3], DoubleNear(0.375 / 0.875, 1e-12));
}

TEST(Band, IsExactWhereRunsShareTheirSteps) {
  const Band band = band_of({{{1, 2}, {10, 20}}, {{1, 2}, {30, 0}}, {{2}, {kNan}}}, {});
  EXPECT_THAT(band.x, ElementsAre(1, 2));
  EXPECT_THAT(band.mean, ElementsAre(20, 10));
  EXPECT_THAT(band.low, ElementsAre(10, 0));
  EXPECT_THAT(band.high, ElementsAre(30, 20));
}

TEST(Band, RunsOfManyStepsMeetInBuckets) {
  const Band band = band_of({ramp(5000), ramp(5000)}, {.buckets = 10});
  EXPECT_EQ(band.x.size(), 10U);
  EXPECT_THAT(band.mean[3], DoubleNear(3, 0.02));
}

}  // namespace
}  // namespace polyphony::board
