#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <polyphony/base/terminal/progress.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::train {

/// Where the time of a run goes. Off, it costs a branch an action.
class Profiler {
 public:
  Profiler(ProfilerName name, std::filesystem::path directory, SecondsClock clock = steady_seconds);
  ~Profiler();

  /// Measures from its making to its end.
  class Action {
   public:
    Action(Profiler& profiler, const char* name)
        : profiler_(profiler.times() ? &profiler : nullptr), name_(name) {
      if (profiler_ != nullptr) start_ = profiler_->clock_();
    }
    ~Action() {
      if (profiler_ != nullptr) profiler_->add(name_, profiler_->clock_() - start_);
    }
    Action(const Action&) = delete;
    Action& operator=(const Action&) = delete;

   private:
    Profiler* profiler_;
    const char* name_;
    double start_ = 0;
  };

  /// Begins the run's measurement, and ends it: prints the table, or writes the trace.
  void start();
  void finish();
  bool times() const { return name_ == ProfilerName::kSimple; }
  /// Calls, seconds a call, seconds and share of each action, longest first.
  std::string table() const;

 private:
  struct Record {
    std::int64_t calls = 0;
    double seconds = 0;
  };
  struct Trace;

  void add(const char* name, double seconds);

  ProfilerName name_;
  std::filesystem::path directory_;
  SecondsClock clock_;
  double started_ = 0;
  std::map<std::string, Record> records_;
  std::unique_ptr<Trace> trace_;
};

}  // namespace polyphony::train
