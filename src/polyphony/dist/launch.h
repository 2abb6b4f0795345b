#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <polyphony/dist/process_group.h>
#include <polyphony/dist/world.h>

namespace polyphony::dist {

struct LaunchOptions {
  int devices = 1;    ///< processes on this host
  int num_nodes = 1;  ///< hosts; above 1, each starts its own with NODE_RANK and MASTER_ADDR set
  int threads = 0;    ///< for all processes of this host together; 0: one for each processor
  std::chrono::milliseconds timeout = kDefaultTimeout;  ///< dist_timeout
  std::vector<std::string> command;                     ///< empty: this process's own
};

/// Starts the same command once for each device, each with its place in the environment (RANK,
/// LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT), and stays to watch over
/// them. All ranks are children of this process, rank 0 too: so whichever of them hangs, this
/// process outlives it and ends it, and none outlives this process, even if that is killed.
/// SIGTERM and SIGHUP are handed on; Ctrl-C reaches all of them from the terminal.
/// @returns the exit code of the rank that failed first; 0 where all succeeded
/// @throws PeerLost naming the rank that was ended by a signal
int launch(const LaunchOptions& options, const Environment& environment);

/// Sends what this process prints to a file from now on, where its rank is not 0.
/// @throws IoError
void log_to_file(const World& world, const std::filesystem::path& run_directory);

}  // namespace polyphony::dist
