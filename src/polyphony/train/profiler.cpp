#include <polyphony/train/profiler.h>

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <torch/csrc/autograd/profiler_legacy.h>

#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>

namespace polyphony::train {

/// LibTorch's own recorder of operators.
struct Profiler::Trace {
  std::ostringstream text;
  std::unique_ptr<torch::autograd::profiler::RecordProfile> record;
};

Profiler::Profiler(ProfilerName name, std::filesystem::path directory, SecondsClock clock)
    : name_(name), directory_(std::move(directory)), clock_(std::move(clock)) {}

Profiler::~Profiler() = default;

void Profiler::start() {
  records_.clear();
  started_ = clock_();
  if (name_ != ProfilerName::kPytorch) return;
  trace_ = std::make_unique<Trace>();
  trace_->record = std::make_unique<torch::autograd::profiler::RecordProfile>(trace_->text);
}

void Profiler::finish() {
  if (name_ == ProfilerName::kSimple) notify(Notice::kInfo, table());
  if (!trace_) return;
  trace_->record.reset();  // writes
  const std::filesystem::path path = directory_ / "profile.trace.json";
  write_file(path, trace_->text.str());
  trace_.reset();
  inform("profile: {} (open it in chrome://tracing)", path.string());
}

void Profiler::add(const char* name, double seconds) {
  Record& record = records_[name];
  ++record.calls;
  record.seconds += seconds;
}

std::string Profiler::table() const {
  const double total = clock_() - started_;
  std::vector<std::pair<std::string, Record>> rows(records_.begin(), records_.end());
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  std::string text = fmt::format("{:<36} {:>10} {:>14} {:>12} {:>8}\n", "action", "calls",
                                 "mean ms", "total s", "share");
  for (const auto& [name, record] : rows) {
    text += fmt::format("{:<36} {:>10} {:>14.4f} {:>12.4f} {:>7.2f}%\n", name, record.calls,
                        1e3 * record.seconds / static_cast<double>(record.calls), record.seconds,
                        total > 0 ? 100 * record.seconds / total : 0.0);
  }
  return text + fmt::format("{:<36} {:>10} {:>14} {:>12.4f}\n", "total", "", "", total);
}

}  // namespace polyphony::train
