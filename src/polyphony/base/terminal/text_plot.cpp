#include <polyphony/base/terminal/text_plot.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include <polyphony/base/terminal/terminal.h>

namespace polyphony {
namespace {

/// Colours that read well on dark and on light ground: cyan, yellow, magenta, green, blue, red.
constexpr std::array<int, 6> kColours = {36, 33, 35, 32, 34, 31};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  /// One value alone gets room on both sides.
  void widen() {
    if (low < high) return;
    const double room = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= room;
    high += room;
  }
  /// From 0 to 1.
  double place(double value) const { return (value - low) / (high - low); }
};

/// The plot's dots: 2 x 4 a character for braille, 1 x 1 for letters.
class Canvas {
 public:
  Canvas(int columns, int lines, PlotMarks marks)
      : columns_(columns),
        lines_(lines),
        across_(marks == PlotMarks::kBraille ? 2 : 1),
        down_(marks == PlotMarks::kBraille ? 4 : 1),
        dots_(static_cast<std::size_t>(columns * lines), 0),
        owner_(static_cast<std::size_t>(columns * lines), -1) {}

  int width() const { return columns_ * across_; }
  int height() const { return lines_ * down_; }

  void dot(int x, int y, int curve) {
    if (x < 0 || y < 0 || x >= width() || y >= height()) return;
    // Unicode numbers a braille character's dots so: the left column's 1 2 3 7, the right's 4 5
    // 6 8.
    constexpr std::array<std::array<int, 4>, 2> kBit = {{{0, 1, 2, 6}, {3, 4, 5, 7}}};
    const auto cell = place(y / down_, x / across_);
    dots_[cell] |=
        down_ == 4
            ? 1 << kBit.at(static_cast<std::size_t>(x % 2)).at(static_cast<std::size_t>(y % 4))
            : 1;
    owner_[cell] = curve;
  }
  /// Bresenham's line.
  void line(int x0, int y0, int x1, int y1, int curve) {
    const int dx = std::abs(x1 - x0), dy = -std::abs(y1 - y0);
    const int right = x0 < x1 ? 1 : -1, up = y0 < y1 ? 1 : -1;
    for (int error = dx + dy;;) {
      dot(x0, y0, curve);
      if (x0 == x1 && y0 == y1) return;
      const int twice = 2 * error;
      if (twice >= dy) {
        error += dy;
        x0 += right;
      }
      if (twice <= dx) {
        error += dx;
        y0 += up;
      }
    }
  }
  int owner(int line, int column) const { return owner_[place(line, column)]; }
  std::string cell(int line, int column) const {
    const int dots = dots_[place(line, column)];
    if (dots == 0) return " ";
    if (down_ == 1) return std::string(1, static_cast<char>('a' + owner(line, column) % 26));
    const int code = 0x2800 + dots;  // three bytes of UTF-8
    return {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3f)),
            static_cast<char>(0x80 | (code & 0x3f))};
  }

 private:
  std::size_t place(int line, int column) const {
    return static_cast<std::size_t>(line) * static_cast<std::size_t>(columns_) +
           static_cast<std::size_t>(column);
  }

  int columns_, lines_, across_, down_;
  std::vector<int> dots_, owner_;
};

double shown(double value, const TextPlotOptions& options) {
  if (!options.log_y) return value;
  return value > 0 ? std::log10(value) : std::numeric_limits<double>::quiet_NaN();
}

void draw(Canvas& canvas, const Curve& curve, int number, const TextPlotOptions& options, Range xs,
          Range ys) {
  bool joined = false;
  int last_x = 0, last_y = 0;
  for (const auto& [x, value] : curve.points) {
    const double y = shown(value, options);
    if (!std::isfinite(x) || !std::isfinite(y)) {
      joined = false;
      continue;
    }
    const int at_x = static_cast<int>(std::lround(xs.place(x) * (canvas.width() - 1)));
    const int at_y = static_cast<int>(std::lround((1 - ys.place(y)) * (canvas.height() - 1)));
    canvas.line(joined ? last_x : at_x, joined ? last_y : at_y, at_x, at_y, number);
    last_x = at_x;
    last_y = at_y;
    joined = true;
  }
}

std::string coloured(const std::string& text, int curve, bool colours) {
  if (!colours || curve < 0) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m",
                     kColours.at(static_cast<std::size_t>(curve) % kColours.size()), text);
}

std::string legend(const std::vector<Curve>& curves, const TextPlotOptions& options) {
  std::string text;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const int number = static_cast<int>(i);
    const bool letters = options.marks == PlotMarks::kAscii;
    const std::string mark =
        letters ? std::string(1, static_cast<char>('a' + i % 26)) : std::string("━━");
    const auto& points = curves[i].points;
    const std::string last =
        points.empty() ? "no values" : fmt::format("{:.6g}", points.back().second);
    const int room = std::max(8, options.width - 14 - display_width(last));
    text += fmt::format("  {} {}  {}\n", coloured(mark, number, options.colours),
                        clip(curves[i].name, room), last);
  }
  return text;
}

}  // namespace

std::string plot_text(const std::vector<Curve>& curves, const TextPlotOptions& options) {
  Range xs, ys;
  for (const Curve& curve : curves) {
    for (const auto& [x, value] : curve.points) {
      const double y = shown(value, options);
      if (!std::isfinite(x) || !std::isfinite(y)) continue;
      xs.include(x);
      ys.include(y);
    }
  }
  if (xs.empty()) return "no finite values to draw\n" + legend(curves, options);
  xs.widen();
  ys.widen();
  const bool letters = options.marks == PlotMarks::kAscii;
  constexpr int kLabel = 10;
  const int columns = std::max(40, options.width) - kLabel - 2;
  const int lines = std::max(4, options.height);
  Canvas canvas(columns, lines, options.marks);
  for (std::size_t i = 0; i < curves.size(); ++i) {
    draw(canvas, curves[i], static_cast<int>(i), options, xs, ys);
  }
  std::string text;
  for (int line = 0; line < lines; ++line) {
    const double place = 1 - (line + 0.5) / lines;
    const double edge = line == 0           ? ys.high
                        : line == lines - 1 ? ys.low
                                            : ys.low + place * (ys.high - ys.low);
    const bool labelled = line == 0 || line == lines - 1 || line % 4 == 0;
    const std::string label =
        labelled ? fmt::format("{:.4g}", options.log_y ? std::pow(10, edge) : edge) : "";
    text += fmt::format("{:>{}} {}", label, kLabel,
                        letters ? (labelled ? "+" : "|") : (labelled ? "┤" : "│"));
    std::string row;
    for (int column = 0; column < columns; ++column) {
      row += coloured(canvas.cell(line, column), canvas.owner(line, column), options.colours);
    }
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  std::string axis;
  for (int i = 0; i < columns; ++i) axis += letters ? "-" : "─";
  const std::string low = fmt::format("{:.6g}", xs.low), high = fmt::format("{:.6g}", xs.high);
  const int gap = columns - static_cast<int>(low.size() + high.size());
  text += fmt::format("{:>{}} {}{}\n", "", kLabel, letters ? "+" : "└", axis);
  text +=
      fmt::format("{:>{}} {}{:^{}}{}\n", "", kLabel + 1, low, clip(options.x_name, gap), gap, high);
  return text + legend(curves, options);
}

}  // namespace polyphony
