#include <polyphony/base/progress.h>

#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace polyphony {
namespace {

using testing::HasSubstr;

TEST(Progress, RedrawsATerminalAtMostTenTimesASecond) {
  double time = 0;
  std::ostringstream out;
  Progress progress("fit", 100, out, {true, 80, false}, [&time] { return time; });
  for (int i = 1; i <= 100; ++i) {
    time = i / 100.0;
    progress.update(i);
  }
  const std::string text = out.str();
  EXPECT_LE(std::count(text.begin(), text.end(), '\r'), 11);
}

TEST(Progress, PrintsPlainLinesEveryTenSecondsElsewhere) {
  double time = 0;
  std::ostringstream out;
  Progress progress("fit", 40, out, {}, [&time] { return time; });
  for (int i = 1; i <= 20; ++i) {
    time = i;
    progress.update(i, "loss=0.5");
  }
  progress.finish();
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_THAT(text, HasSubstr("fit  25% 10/40 1.0 it/s ETA 00:30 loss=0.5\n"));
}

}  // namespace
}  // namespace polyphony
