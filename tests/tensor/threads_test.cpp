#include <polyphony/tensor/threads.h>

#include <gmock/gmock.h>

#include <polyphony/tensor/seed.h>

namespace polyphony::tensor {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;

/// Puts the threads back that were in force.
class ThreadsTest : public ::testing::Test {
 protected:
  ~ThreadsTest() override { set_threads(before_); }
  Threads before_ = current_threads();
};

TEST_F(ThreadsTest, MeasuredOnesAreAtMostThoseAllowedAndInForce) {
  for (const int most : {1, 2, 3}) {
    const Threads chosen = measure_threads(most);
    EXPECT_THAT(chosen.kernels, AllOf(Ge(1), Le(most)));
    EXPECT_TRUE(chosen.blas == 1 || chosen.blas == chosen.kernels);
    EXPECT_EQ(current_threads().kernels, chosen.kernels);
    EXPECT_EQ(current_threads().blas, chosen.blas);
  }
}

TEST_F(ThreadsTest, AGivenNumberIsKeptOverARecordedOne) {
  set_up_compute(2, Determinism::kOff);
  EXPECT_EQ(current_threads().kernels, 2);
  EXPECT_FALSE(resume_threads({1, 1}));
  EXPECT_EQ(current_threads().kernels, 2);
  EXPECT_THAT(describe_compute(), AllOf(HasSubstr("2 threads"), Not(HasSubstr("measured"))));
}

TEST_F(ThreadsTest, AResumedRunTakesTheRecordedNumberOverAMeasuredOne) {
  set_threads({2, 1});
  const bool own_threads = current_threads().blas == 1;  // OpenBLAS's are, MKL's are LibTorch's
  set_up_compute(0, Determinism::kOff);
  EXPECT_THAT(describe_compute(), HasSubstr("(measured)"));
  EXPECT_TRUE(resume_threads({3, 1}));
  EXPECT_EQ(current_threads().kernels, 3);
  EXPECT_EQ(current_threads().blas, own_threads ? 1 : 3);
  EXPECT_FALSE(resume_threads({3, 1}));
}

}  // namespace
}  // namespace polyphony::tensor
