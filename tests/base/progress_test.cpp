#include <polyphony/base/terminal/progress.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace polyphony {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TerminalInfo terminal(int width) {
  TerminalInfo info;
  info.tty = info.cursor = true;
  info.width = width;
  return info;
}

/// What a terminal shows that has been written to: just the escape sequences that Progress uses.
std::vector<std::string> screen(const std::string& written) {
  std::vector<std::string> lines(1);
  std::size_t row = 0, column = 0;
  for (std::size_t at = 0; at < written.size(); ++at) {
    const char c = written[at];
    if (c == '\r') {
      column = 0;
    } else if (c == '\n') {
      ++row;
      column = 0;
      lines.resize(std::max(lines.size(), row + 1));
    } else if (c == '\x1b') {
      std::size_t end = written.find_first_of("AJKm", at);
      const std::string number = written.substr(at + 2, end - at - 2);
      if (written[end] == 'A') row -= std::stoul(number);
      if (written[end] == 'K' || written[end] == 'J') lines[row].resize(column);
      if (written[end] == 'J') lines.resize(row + 1);
      at = end;
    } else {
      if (lines[row].size() <= column) lines[row].resize(column + 1, ' ');
      lines[row][column++] = c;
    }
  }
  return lines;
}

TEST(Progress, RedrawsATerminalAtMostTenTimesASecond) {
  double time = 0;
  std::ostringstream out;
  Progress progress("fit", 100, out, terminal(80), [&time] { return time; });
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
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("fit  25% 10/40 1.0 it/s ETA 00:30 loss=0.5\n"));
}

TEST(Progress, PutsMetricsBesideTheBarOrBelowIt) {
  double time = 0;
  for (const int width : {60, 200}) {
    std::ostringstream out;
    time = 0;
    Progress progress("epoch 1/2", 10, out, terminal(width), [&time] { return time; });
    time = 5;
    progress.update(5, "loss 0.5000  val_F1 0.2500  lr 1.00e-03");
    const std::vector<std::string> lines = screen(out.str());
    if (width == 60) {
      EXPECT_THAT(lines, ElementsAre("epoch 1/2 [#########.........]  50% 5/10 1.0 it/s ETA 00:05",
                                     "  loss 0.5000  val_F1 0.2500  lr 1.00e-03"));
    } else {
      EXPECT_THAT(lines, ElementsAre("epoch 1/2 [####################....................]  50% "
                                     "5/10 1.0 it/s ETA 00:05  loss 0.5000  val_F1 0.2500  "
                                     "lr 1.00e-03"));
    }
    for (const std::string& line : lines) EXPECT_LT(display_width(line), width);
  }
}

TEST(Progress, ShowsALoopInsideBelowAndTakesItAway) {
  double time = 0;
  std::ostringstream out;
  Progress outer("epoch 1", 4, out, terminal(80), [&time] { return time; });
  time = 1;
  outer.update(2, "loss 0.5000");
  Progress inner("validation", 3, outer);
  time = 2;
  inner.update(1);
  EXPECT_THAT(screen(out.str()), ElementsAre(HasSubstr("2/4"), HasSubstr("1/3")));
  inner.discard();
  EXPECT_THAT(screen(out.str()), ElementsAre(HasSubstr("2/4")));
  outer.update(4);
  outer.finish();
  EXPECT_THAT(screen(out.str()), ElementsAre(HasSubstr("4/4"), ""));
}

TEST(Progress, LeavesNoTraceWhereDiscarded) {
  std::ostringstream out;
  Progress progress("fit", 4, out, terminal(40), [] { return 1.0; });
  progress.update(2, "a very long metric 0.5  another very long metric 0.25");
  progress.discard();
  EXPECT_THAT(screen(out.str()), ElementsAre(""));
}

}  // namespace
}  // namespace polyphony
