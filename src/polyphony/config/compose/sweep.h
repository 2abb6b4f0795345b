#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/compose/compose.h>

namespace polyphony::config {

/// A multirun: the override list of every job, first key slowest, as Hydra's BasicSweeper orders
/// them.
struct SweepPlan {
  std::vector<std::vector<std::string>> jobs;  ///< task overrides of each job
  std::vector<std::size_t> batches;            ///< jobs that run before the next are composed
  std::vector<std::string> hydra_overrides;    ///< given to every job
  Composition master;                          ///< the composition without the sweeps
};

/// Composes a request without its sweeps and expands them, those of hydra.sweeper.params first.
/// An empty range gives no jobs.
/// @throws ComposeError for a sweep that cannot be enumerated (interval) or a bad override
SweepPlan expand_sweep(const ComposeRequest& request);
/// The same with files read before.
SweepPlan expand_sweep(const ComposeRequest& request, Repository& repository);

/// The request that composes one job of a plan.
ComposeRequest job_request(const ComposeRequest& request, const SweepPlan& plan, std::size_t job);

/// The texts that an override's sweep stands for, as they are written after '='; a plain value
/// gives one. Nothing is said of a shuffle's order but that it is random.
/// @throws ComposeError
std::vector<std::string> sweep_values(const Override& change, const Repository* repository);

/// Python's fnmatch: * ? [set] [!set], no escapes.
bool matches_glob(std::string_view name, std::string_view pattern);

}  // namespace polyphony::config
