#pragma once

#include <string>
#include <vector>

#include <polyphony/record/run.h>

namespace polyphony::record {

/// The machine and the program, read once: "os", "kernel", "cpu", "cores", "memory_bytes",
/// "compiler", and "version.NAME" for each shared library of note that the process has loaded, as
/// its file name tells (version.libsndfile: 1.0.35).
Pairs system_facts();

/// Measures this process and its machine between one call and the next.
class SystemSampler {
 public:
  SystemSampler();
  /// "cpu_percent" (of one core; 200 is two), "rss_bytes", "threads", "memory_percent" (of the
  /// machine), "load" (runnable processes, mean of a minute).
  std::vector<SystemMetric> sample();

 private:
  double cpu_seconds_ = 0;
  double time_ = 0;
};

}  // namespace polyphony::record
