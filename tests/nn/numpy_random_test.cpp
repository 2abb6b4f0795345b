#include <polyphony/nn/numpy_random.h>

#include <gmock/gmock.h>

namespace polyphony::nn {
namespace {

// Expected values are those of numpy 1.24's np.random after np.random.seed(n).

TEST(NumpyRandom, UniformsAreThoseOfNumpy) {
  NumpyRandom random(2024);
  EXPECT_DOUBLE_EQ(random.uniform(), 0.5880145188953979);
  EXPECT_DOUBLE_EQ(random.uniform(), 0.6991087476815825);
  EXPECT_DOUBLE_EQ(random.uniform(), 0.18815196003850598);
}

TEST(NumpyRandom, PermutationsAreThoseOfNumpy) {
  NumpyRandom random(7);
  EXPECT_THAT(random.permutation(10), testing::ElementsAre(8, 5, 0, 2, 1, 9, 7, 3, 6, 4));
  EXPECT_DOUBLE_EQ(random.uniform(), 0.07205113335976154);
}

TEST(NumpyRandom, NothingAndLessIsAnEmptyPermutation) {
  NumpyRandom random(1);
  EXPECT_THAT(random.permutation(0), testing::IsEmpty());
  EXPECT_THAT(random.permutation(-3), testing::IsEmpty());
  EXPECT_EQ(random.interval(0), 0U);
}

}  // namespace
}  // namespace polyphony::nn
