#include <polyphony/base/terminal/progress.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace polyphony {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kPlainSeconds = 10;
constexpr int kLeastBar = 10;
constexpr int kMostBar = 40;

constexpr const char* kDone = "\x1b[35m";     // magenta
constexpr const char* kAllDone = "\x1b[32m";  // green
constexpr const char* kToDo = "\x1b[2m";      // faint
constexpr const char* kNormal = "\x1b[0m";

/// "1:02:03" or "02:03".
std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, 3.6e8)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{:02}:{:02}", minutes, whole % 60);
}

std::string repeat(const char* text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

/// Parts that stand two spaces apart, in lines of at most so many columns.
std::vector<std::string> wrap(const std::string& text, int columns) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find("  ", at), text.size());
    const std::string part = clip(text.substr(at, end - at), columns);
    if (!lines.empty() && display_width(lines.back()) + 2 + display_width(part) <= columns) {
      lines.back() += "  " + part;
    } else {
      lines.push_back(part);
    }
    at = end + 2;
  }
  return lines;
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
      interval_(terminal.cursor ? kRedrawSeconds : kPlainSeconds),
      start_(clock_()),
      drawn_(start_) {}

Progress::Progress(std::string label, std::int64_t total, Progress& outer)
    : Progress(std::move(label), total, outer.out_, outer.terminal_, outer.clock_) {
  interval_ = outer.interval_;
  outer_ = &outer;
  outer.inner_ = this;
}

Progress::~Progress() {
  if (outer_ != nullptr && outer_->inner_ == this) outer_->inner_ = nullptr;
}

void Progress::update(std::int64_t done, std::string metrics) {
  if (finished_) return;
  done_ = done;
  if (!metrics.empty()) metrics_ = std::move(metrics);
  const double time = clock_();
  const bool first = terminal_.cursor && !drawn_once_;
  if (first || time - drawn_ >= interval_) draw(time);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  draw(clock_());
  if (terminal_.cursor && outer_ == nullptr) out_ << "\n" << std::flush;
}

void Progress::discard() {
  if (finished_) return;
  finished_ = true;
  if (outer_ != nullptr) {
    outer_->inner_ = nullptr;
    if (terminal_.cursor) outer_->draw(clock_());
  } else if (terminal_.cursor && drawn_once_) {
    out_ << back() << "\x1b[J" << std::flush;
  }
}

std::string Progress::back() const {
  return lines_above_ > 0 ? fmt::format("\r\x1b[{}A", lines_above_) : "\r";
}

std::string Progress::count() const {
  if (total_ <= 0) return fmt::format("{}", done_);
  const double part = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0., 1.);
  return fmt::format("{:3}% {}/{}", static_cast<int>(part * 100), done_, total_);
}

std::string Progress::timing(double now) const {
  const double elapsed = now - start_;
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  std::string text = fmt::format("{:.1f} {}/s", rate, unit_);
  if (finished_ || total_ <= 0) {
    text += fmt::format(" in {}", duration(elapsed));
  } else if (rate > 0) {
    text += fmt::format(" ETA {}", duration(static_cast<double>(total_ - done_) / rate));
  }
  return text;
}

std::string Progress::bar(int columns) const {
  const double part = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0., 1.);
  const int filled = static_cast<int>(part * columns);
  if (!terminal_.unicode) {
    return fmt::format("[{:#<{}}{:.<{}}]", "", filled, "", columns - filled);
  }
  const char* to_do = terminal_.colours ? "━" : "─";
  const std::string done = repeat("━", filled) + (terminal_.colours ? kNormal : "");
  const std::string rest = repeat(to_do, columns - filled);
  if (!terminal_.colours) return done + rest;
  return (filled == columns ? kAllDone : kDone) + done + kToDo + rest + kNormal;
}

std::string Progress::plain_line(double now) const {
  std::string text = fmt::format("{} {} {}", label_, count(), timing(now));
  if (!metrics_.empty()) text += " " + metrics_;
  return text;
}

std::vector<std::string> Progress::lines(double now) const {
  // One column stays free: terminals wrap a line that fills the last one.
  const int width = std::max(1, terminal_.width - 1);
  const std::string right = fmt::format("{} {}", count(), timing(now));
  const int brackets = terminal_.unicode ? 0 : 2;
  const int room = width - display_width(label_) - display_width(right) - 2 - brackets;
  const bool beside = metrics_.empty() || room - 2 - display_width(metrics_) >= kLeastBar;
  const int columns =
      std::min(kMostBar, beside && !metrics_.empty() ? room - 2 - display_width(metrics_) : room);
  std::vector<std::string> all;
  if (total_ > 0 && columns >= kLeastBar) {
    all.push_back(fmt::format("{} {} {}", label_, bar(columns), right));
  } else {
    all.push_back(clip(fmt::format("{} {}", label_, right), width));
  }
  if (metrics_.empty()) return all;
  if (beside) {
    all.back() += "  " + metrics_;
    return all;
  }
  for (const std::string& line : wrap(metrics_, width - 2)) all.push_back("  " + line);
  return all;
}

void Progress::draw(double now) {
  drawn_ = now;
  drawn_once_ = true;
  if (!terminal_.cursor) {
    out_ << plain_line(now) << "\n" << std::flush;
  } else {
    (outer_ != nullptr ? *outer_ : *this).redraw(now);
  }
}

/// Over the drawing before: the cursor goes up to its first line, and what is left of it is erased.
void Progress::redraw(double now) {
  std::vector<std::string> all = lines(now);
  if (inner_ != nullptr) {
    for (std::string& line : inner_->lines(now)) all.push_back(std::move(line));
  }
  std::string text = back();
  for (std::size_t i = 0; i < all.size(); ++i) {
    text += all[i] + "\x1b[K" + (i + 1 < all.size() ? "\n" : "");
  }
  out_ << text << "\x1b[J" << std::flush;
  lines_above_ = static_cast<int>(all.size()) - 1;
}

}  // namespace polyphony
