#pragma once

#include <optional>
#include <string>

#include <polyphony/base/environment.h>

namespace polyphony {

/// A process's place among those that train together.
struct World {
  int rank = 0;
  int size = 1;
  int local_rank = 0;                     ///< among the processes of its host
  int local_size = 1;                     ///< processes on its host
  std::string master_addr = "127.0.0.1";  ///< where rank 0 listens
  int master_port = 29500;
  std::string started_by;  ///< for messages: "torchrun", "mpirun", "Slurm"
};

/// The place that whoever started this process gave it by environment variables:
/// RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE (torchrun, `polyphony` itself), OMPI_COMM_WORLD_*
/// (Open MPI), PMI_RANK, PMI_SIZE (MPICH, Intel MPI), SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID
/// (srun), in this order. MASTER_ADDR and MASTER_PORT say where to meet; Slurm's node list and job
/// number, and a run on one host, need neither.
/// @returns nullopt where the process was started alone
/// @throws ConfigError naming the variable that is missing or wrong
std::optional<World> world_from_environment(const Environment& environment);

/// The first host of a Slurm node list: "gpu[07-09,12],cpu1" is "gpu07".
std::string first_host(const std::string& node_list);

/// Threads for one of the processes of a host.
/// @param wanted  threads for all of them together; 0: one for each processor
int threads_of_rank(int wanted, int local_size);

}  // namespace polyphony
