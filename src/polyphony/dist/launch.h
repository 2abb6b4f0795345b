#pragma once

#include <chrono>
#include <filesystem>
#include <functional>

#include <polyphony/base/world.h>
#include <polyphony/dist/process_group.h>

namespace polyphony::dist {

struct LaunchOptions {
  int devices = 1;    ///< processes on this host
  int num_nodes = 1;  ///< hosts; above 1, each starts its own with NODE_RANK and MASTER_ADDR set
  int threads = 0;    ///< for all processes of this host together; 0: one for each processor
  std::chrono::milliseconds timeout = kDefaultTimeout;  ///< dist_timeout
};

/// Does `work` in a child process for each device, each with its place in the environment (RANK,
/// LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT), and stays to watch over
/// them. The children are copies of this process, which has computed nothing yet: they need not
/// load and compose again, and a sweep's job stays one job. A child ends with its work. All ranks
/// are children of this process, rank 0 too: so whichever of them hangs, this process outlives it
/// and ends it, and none outlives this process, even if that is killed. Requests to stop
/// (base/signals.h) are handed on, each once: what else of them reaches a child is a copy. What
/// stopped one child stops the others.
/// @throws Error with the exit code of the rank that failed first, whose own words are on the
/// terminal or in its log; PeerLost naming the rank that was ended by a signal
void launch(const LaunchOptions& options, const Environment& environment,
            const std::function<void()>& work);

/// Sends what this process prints to the run directory's rank-N.log from now on.
/// @throws IoError
void log_to_file(int rank, const std::filesystem::path& run_directory);

}  // namespace polyphony::dist
