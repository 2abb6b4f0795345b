#include <polyphony/base/rng.h>

#include <algorithm>

#include <gtest/gtest.h>

namespace polyphony {
namespace {

TEST(SplitMix64, GivesThePublishedSequence) {
  SplitMix64 rng(1234567);
  EXPECT_EQ(rng.next(), 6457827717110365317U);
  EXPECT_EQ(rng.next(), 3203168211198807973U);
  EXPECT_EQ(rng.next(), 9817491932198370423U);
}

TEST(Permutation, HoldsEveryNumberOnceAndDependsOnTheSeedAlone) {
  const std::vector<std::int64_t> order = permutation(100, 5);
  EXPECT_EQ(order, permutation(100, 5));
  EXPECT_NE(order, permutation(100, 6));
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(permutation(0, 5).empty());
}

TEST(DeriveSeed, StreamsDiffer) {
  EXPECT_NE(derive_seed(1, 0), derive_seed(1, 1));
  EXPECT_NE(derive_seed(1, 0), derive_seed(2, 0));
}

}  // namespace
}  // namespace polyphony
