#include <polyphony/loggers/guarded.h>

#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace polyphony::loggers {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A user's own logger onto a disk that is full from step 2 to step 3.
class OwnLogger : public train::Logger {
 public:
  explicit OwnLogger(std::vector<std::int64_t>& steps) : steps_(steps) {}
  void log_metrics(const train::MetricValues&, std::int64_t step, std::int64_t) override {
    if (step == 2 || step == 3) throw std::runtime_error("no space left on device");
    steps_.push_back(step);
  }

 private:
  std::vector<std::int64_t>& steps_;
};

TEST(Guarded, ALoggerThatFailsIsTriedAgain) {
  std::vector<std::int64_t> steps;
  Guarded logger("logger.own", std::make_unique<OwnLogger>(steps), 1e-9);
  testing::internal::CaptureStderr();
  for (std::int64_t step = 1; step <= 5; ++step) logger.log_metrics({}, step, 0);
  EXPECT_THAT(steps, ElementsAre(1, 4, 5));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("logger.own fails; the run goes on, and it is tried again: no space"),
                    HasSubstr("logger.own is written again; it lacks 2 calls")));
}

TEST(Guarded, WhatALoggerLacksIsToldAtTheEnd) {
  std::vector<std::int64_t> steps;
  Guarded logger("logger.own", std::make_unique<OwnLogger>(steps), 1000);
  testing::internal::CaptureStderr();
  for (std::int64_t step = 1; step <= 5; ++step) logger.log_metrics({}, step, 0);
  logger.finalize("success");
  EXPECT_THAT(steps, ElementsAre(1));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("it lacks 4 calls"));
}

}  // namespace
}  // namespace polyphony::loggers
