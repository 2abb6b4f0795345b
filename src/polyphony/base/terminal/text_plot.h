#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace polyphony {

/// A curve by name: points (x, y) in the order of x.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

enum class PlotMarks {
  kBraille,  ///< eight dots a character
  kAscii,    ///< one letter a character: a for the first curve, b for the second...
};

struct TextPlotOptions {
  int width = 80;   ///< columns of the whole picture, at least 40
  int height = 20;  ///< lines of the plot itself, at least 4
  PlotMarks marks = PlotMarks::kBraille;
  bool colours = false;  ///< ANSI colours tell the curves apart
  bool log_y = false;    ///< values that are not positive are left out
  std::string x_name = "step";
};

/// Curves over one pair of axes, lines between their points, and a legend with the last values.
/// Values that are not finite make a gap. Without colours, more than one braille curve cannot be
/// told apart: ask for letters then.
std::string plot_text(const std::vector<Curve>& curves, const TextPlotOptions& options);

}  // namespace polyphony
