#include <polyphony/optim/schedule.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace polyphony::optim {
namespace {

using Json = nlohmann::json;

TEST(WarmupCosine, AgreesWithTheReferenceWhereThereIsAWarmUp) {
  const char* given = std::getenv("POLYPHONY_GOLDEN_DIR");
  std::ifstream file(std::string(given != nullptr ? given : POLYPHONY_TEST_DIR "/golden") +
                     "/sched/lr_traces.json");
  ASSERT_TRUE(file);
  int traces = 0;
  const Json golden = Json::parse(file);
  for (const Json& trace : golden.at("traces")) {
    if (!trace.at("kind").get<std::string>().starts_with("head_sequential")) continue;
    // No warm-up: the reference's cosine lags by a step. Nothing but warm-up: it divides by zero.
    if (trace.at("warmup_steps") == 0 || !trace.at("error").is_null()) continue;
    const double base = trace.at("lr");
    const WarmupCosine schedule(
        WarmupCosineOptions{trace.at("warmup_ratio"), trace.at("eta_min").get<double>() / base});
    const std::int64_t total = trace.at("total_steps");
    const std::int64_t steps = std::min(total, static_cast<std::int64_t>(trace.at("lrs").size()));
    for (std::int64_t step = 0; step < steps; ++step) {
      const double want = trace.at("lrs")[static_cast<std::size_t>(step)];
      EXPECT_NEAR(base * schedule.factor(step, total), want, 1e-9 * base)
          << total << " at " << step;
    }
    ++traces;
  }
  std::printf("%d traces\n", traces);
  EXPECT_GT(traces, 0);
}

TEST(WarmupCosine, WithoutWarmUpBeginsAtTheFullRateAndEndsAtItsLeast) {
  const WarmupCosine schedule(WarmupCosineOptions{0.0, 0.1});
  EXPECT_DOUBLE_EQ(schedule.factor(0, 10), 1.0);
  EXPECT_DOUBLE_EQ(schedule.factor(5, 10), 0.55);
  EXPECT_DOUBLE_EQ(schedule.factor(10, 10), 0.1);
  EXPECT_DOUBLE_EQ(schedule.factor(99, 10), 0.1);
}

TEST(Constant, IsOneThroughout) {
  const Constant schedule{ConstantOptions{}};
  EXPECT_EQ(schedule.factor(0, 10), 1.0);
  EXPECT_EQ(schedule.factor(10, 10), 1.0);
}

}  // namespace
}  // namespace polyphony::optim
