#pragma once

#include <string>
#include <vector>

#include <polyphony/config/compose.h>

namespace polyphony::config {

/// A multirun: the override list of every job, first key slowest, as Hydra's BasicSweeper orders
/// them.
struct SweepPlan {
  std::vector<std::vector<std::string>> jobs;  ///< task overrides of each job
  std::vector<std::string> hydra_overrides;    ///< given to every job
};

/// Expands the sweeps in a request's overrides. An empty range gives no jobs.
/// @throws ComposeError for a sweep that cannot be enumerated (interval) or a bad override
SweepPlan expand_sweep(const ComposeRequest& request);

}  // namespace polyphony::config
