#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/record/run.h>

namespace polyphony::record {

struct RunEnd {
  State state = State::kFinished;
  std::string error;  ///< "" where there is none
  double time = 0;    ///< seconds since 1970
};

/// A part of a run's record: what it logged between two writes. They are numbered from 1, so that
/// each is written once, into whatever store and by whatever way it comes there.
struct StoreBatch {
  std::int64_t first = 0;  ///< the numbers that it stands for
  std::int64_t last = 0;   ///< greater than `first` where it stands for several
  std::vector<Metric> metrics;
  std::vector<SystemMetric> system;
  std::vector<ConsoleLine> console;
  std::vector<Alert> alerts;
  std::vector<Artifact> artifacts;
  std::optional<Pairs> hyper_parameters;
  std::optional<std::string> model_summary;
  std::optional<double> heartbeat;  ///< seconds since 1970
  std::optional<RunEnd> end;

  bool empty() const {
    return metrics.empty() && system.empty() && console.empty() && alerts.empty() &&
           artifacts.empty() && !hyper_parameters && !model_summary && !heartbeat && !end;
  }
};

}  // namespace polyphony::record
