#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

#include <polyphony/base/terminal.h>

namespace polyphony {

/// Seconds from any fixed point, never going back.
using SecondsClock = std::function<double()>;
/// The system's steady clock.
double steady_seconds();

/// Progress of one loop. On a TTY one line, redrawn at most 10 times a second and clipped to the
/// width; elsewhere plain lines, at most one in 10 seconds and one at the end.
class Progress {
 public:
  /// @param total  steps to do; 0 or less where unknown (no bar, percentage and ETA then)
  /// @param out    borrowed; outlives the object
  Progress(std::string label, std::int64_t total, std::ostream& out, TerminalInfo terminal,
           SecondsClock clock = steady_seconds);

  /// What a step is, for the rate; "it" at first.
  void set_unit(std::string unit) { unit_ = std::move(unit); }
  /// @param done     steps done so far
  /// @param metrics  newest values, e.g. "loss=0.31"; shown as they are
  void update(std::int64_t done, std::string metrics = {});
  /// Draws the last state and ends the line. A second call does nothing.
  void finish();

 private:
  std::string line(double now) const;
  void draw(double now);

  std::string label_;
  std::int64_t total_;
  std::ostream& out_;
  TerminalInfo terminal_;
  SecondsClock clock_;
  std::string metrics_;
  std::string unit_ = "it";
  std::int64_t done_ = 0;
  double start_;
  double drawn_;
  bool drawn_once_ = false;
  bool finished_ = false;
};

}  // namespace polyphony
