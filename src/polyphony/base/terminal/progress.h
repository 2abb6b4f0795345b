#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/base/terminal/terminal.h>

namespace polyphony {

/// Seconds from any fixed point, never going back.
using SecondsClock = std::function<double()>;
/// The system's steady clock.
double steady_seconds();

/// Progress of one loop, and of a loop inside it. On a terminal with a movable cursor a bar of the
/// width that is there, redrawn at most 10 times a second, with what does not fit beside it on
/// lines below; elsewhere plain lines, at most one in 10 seconds and one at the end.
class Progress {
 public:
  /// @param total  steps to do; 0 or less where unknown (no bar, percentage and ETA then)
  /// @param out    borrowed; outlives the object
  Progress(std::string label, std::int64_t total, std::ostream& out, TerminalInfo terminal,
           SecondsClock clock = steady_seconds);
  /// A loop inside `outer`, which outlives it: a bar below the outer one.
  Progress(std::string label, std::int64_t total, Progress& outer);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// What a step is, for the rate; "it" at first.
  void set_unit(std::string unit) { unit_ = std::move(unit); }
  /// Seconds between two drawings; 0.1 on a terminal and 10 elsewhere at first.
  void set_interval(double seconds) { interval_ = seconds; }
  /// @param done     steps done so far
  /// @param metrics  newest values, two spaces apart; shown as they are
  void update(std::int64_t done, std::string metrics = {});
  /// Draws the last state and ends the line. A second call does nothing.
  void finish();
  /// Ends without a trace on a terminal.
  void discard();

 private:
  /// What stands left and right of the bar.
  std::string count() const;
  std::string timing(double now) const;
  std::string bar(int columns) const;
  std::string plain_line(double now) const;
  /// The bar with its metrics, in lines of the terminal's width.
  std::vector<std::string> lines(double now) const;
  void draw(double now);
  void redraw(double now);
  /// To the beginning of the last drawing.
  std::string back() const;

  std::string label_;
  std::int64_t total_;
  std::ostream& out_;
  TerminalInfo terminal_;
  SecondsClock clock_;
  Progress* outer_ = nullptr;
  const Progress* inner_ = nullptr;
  std::string metrics_;
  std::string unit_ = "it";
  std::int64_t done_ = 0;
  double interval_;
  double start_;
  double drawn_;
  bool drawn_once_ = false;
  bool finished_ = false;
  int lines_above_ = 0;  ///< of the last drawing, above the cursor
};

}  // namespace polyphony
