#include <polyphony/base/progress.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace polyphony {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kPlainSeconds = 10;
constexpr int kBarColumns = 20;

/// "1:02:03" or "02:03".
std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, 3.6e8)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{:02}:{:02}", minutes, whole % 60);
}

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(std::string label, std::int64_t total, std::ostream& out, TerminalInfo terminal,
                   SecondsClock clock)
    : label_(std::move(label)),
      total_(total),
      out_(out),
      terminal_(terminal),
      clock_(std::move(clock)),
      start_(clock_()),
      drawn_(start_) {}

void Progress::update(std::int64_t done, std::string metrics) {
  if (finished_) return;
  done_ = done;
  if (!metrics.empty()) metrics_ = std::move(metrics);
  const double time = clock_();
  const bool due = terminal_.tty ? !drawn_once_ || time - drawn_ >= kRedrawSeconds
                                 : time - drawn_ >= kPlainSeconds;
  if (due) draw(time);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  draw(clock_());
  if (terminal_.tty) out_ << "\n" << std::flush;
}

std::string Progress::line(double now) const {
  const double elapsed = now - start_;
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  std::string text = label_;
  if (total_ > 0) {
    const double part =
        std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    const int filled = static_cast<int>(part * kBarColumns);
    if (terminal_.tty) {
      text += fmt::format(" [{:#<{}}{:.<{}}]", "", filled, "", kBarColumns - filled);
    }
    text += fmt::format(" {:3}% {}/{}", static_cast<int>(part * 100), done_, total_);
  } else {
    text += fmt::format(" {}", done_);
  }
  text += fmt::format(" {:.1f} {}/s", rate, unit_);
  if (finished_ || total_ <= 0) {
    text += fmt::format(" in {}", duration(elapsed));
  } else if (rate > 0) {
    text += fmt::format(" ETA {}", duration(static_cast<double>(total_ - done_) / rate));
  }
  if (!metrics_.empty()) text += " " + metrics_;
  return text;
}

void Progress::draw(double now) {
  drawn_ = now;
  drawn_once_ = true;
  if (terminal_.tty) {
    // One column stays free: terminals wrap a line that fills the last one.
    out_ << "\r" << clip(line(now), std::max(1, terminal_.width - 1)) << "\x1b[K" << std::flush;
  } else {
    out_ << line(now) << "\n" << std::flush;
  }
}

}  // namespace polyphony
