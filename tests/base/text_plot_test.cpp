#include <polyphony/base/terminal/text_plot.h>

#include <cmath>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/terminal/terminal.h>

namespace polyphony {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TextPlotOptions letters(int width = 60) {
  TextPlotOptions options;
  options.width = width;
  options.height = 8;
  options.marks = PlotMarks::kAscii;
  return options;
}

TEST(TextPlot, ARisingCurveGoesFromBottomLeftToTopRight) {
  const auto lines = lines_of(plot_text({{"loss", {{0, 1}, {100, 2}}}}, letters()));
  ASSERT_EQ(lines.size(), 11U);  // the plot, the axis, its labels and the legend
  EXPECT_THAT(lines[0], HasSubstr("2 +"));
  EXPECT_EQ(lines[0].back(), 'a');
  EXPECT_EQ(lines[0].size(), 60U);
  EXPECT_THAT(lines[7], HasSubstr("1 +a"));
  EXPECT_THAT(lines[9], HasSubstr("step"));
  EXPECT_THAT(lines[9], HasSubstr("100"));
  EXPECT_THAT(lines[10], HasSubstr("a loss  2"));
}

TEST(TextPlot, FitsAnyWidthInEitherMarks) {
  for (const int width : {40, 60, 200}) {
    for (const PlotMarks marks : {PlotMarks::kAscii, PlotMarks::kBraille}) {
      TextPlotOptions options = letters(width);
      options.marks = marks;
      const std::string name(300, 'n');
      for (const std::string& line :
           lines_of(plot_text({{name, {{0, -1e-9}, {7, 4e12}}}}, options))) {
        EXPECT_LE(display_width(line), width) << line;
      }
    }
  }
}

TEST(TextPlot, BrailleHasEightDotsACharacter) {
  TextPlotOptions options = letters();
  options.marks = PlotMarks::kBraille;
  // A level line in the middle of eight lines: the upper dots of both columns in the fifth.
  const std::string text = plot_text({{"x", {{0, 0}, {1, 0}}}}, options);
  EXPECT_THAT(lines_of(text)[4], HasSubstr("⠉⠉⠉"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(TextPlot, ValuesThatAreNoNumbersLeaveAGap) {
  const auto lines = lines_of(
      plot_text({{"x", {{0, 1}, {1, std::nan("")}, {2, 1}, {3, INFINITY}, {4, 2}}}}, letters()));
  EXPECT_EQ(lines[7].find("aa"), std::string::npos);  // nothing joins 0 and 2
}

TEST(TextPlot, SaysWhereThereIsNothingToDraw) {
  TextPlotOptions options = letters();
  options.log_y = true;
  EXPECT_THAT(plot_text({{"x", {{0, -1}}}}, options), HasSubstr("no finite values"));
  EXPECT_THAT(plot_text({{"x", {}}}, letters()), HasSubstr("no values"));
}

TEST(TextPlot, LogarithmsPutDecadesAtEqualDistance) {
  TextPlotOptions options = letters();
  options.log_y = true;
  const auto lines = lines_of(plot_text({{"x", {{0, 0.01}, {1, 1}}}}, options));
  EXPECT_THAT(lines[0], HasSubstr("1 +"));
  EXPECT_THAT(lines[7], HasSubstr("0.01 +"));
}

}  // namespace
}  // namespace polyphony
