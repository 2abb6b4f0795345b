#include <polyphony/base/world.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <limits>
#include <thread>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony {
namespace {

/// One launcher's names for the same four numbers, and a variable that it gives each job.
struct Dialect {
  const char* started_by;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
  const char* job;
};

constexpr Dialect kTorchrun = {
    "torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"};
constexpr Dialect kOpenMpi = {"mpirun (Open MPI)",          "OMPI_COMM_WORLD_RANK",
                              "OMPI_COMM_WORLD_SIZE",       "OMPI_COMM_WORLD_LOCAL_RANK",
                              "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE"};
constexpr Dialect kPmi = {"mpirun (PMI)",    "PMI_RANK",        "PMI_SIZE",
                          "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "HYDI_CONTROL_FD"};
constexpr Dialect kSlurm = {"Slurm",         "SLURM_PROCID",         "SLURM_NTASKS",
                            "SLURM_LOCALID", "SLURM_TASKS_PER_NODE", "SLURM_JOB_ID"};

std::int64_t number(const std::string& name, const std::string& text, std::int64_t least,
                    std::int64_t most) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  // SLURM_TASKS_PER_NODE is "2(x3)" or "2,1": the first number is this job's first host's.
  const bool whole = stop == end || *stop == '(' || *stop == ',';
  if (error != std::errc{} || !whole || value < least || value > most) {
    throw ConfigError(
        fmt::format("environment variable {}='{}': not a number from {} to {}", name, text, least,
                    most),
        "it is set by whoever starts the processes; unset it to start one process alone");
  }
  return value;
}

std::string required(const Environment& environment, const char* name, const Dialect& dialect) {
  if (auto text = environment(name)) return *text;
  throw ConfigError(
      fmt::format("environment variable {} is missing beside {}", name, dialect.rank),
      "processes that are started by hand each need RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and "
      "MASTER_PORT; docs/distributed.md shows how");
}

/// True inside an srun step; a batch script itself has SLURM_PROCID too, but starts one process.
bool in_slurm_step(const Environment& environment) {
  const auto step = environment("SLURM_STEP_ID");
  constexpr std::size_t kReserved = 10;  // 4294967280 and above are Slurm's own steps
  return step && step->size() < kReserved && environment(kSlurm.rank);
}

const Dialect* dialect_of(const Environment& environment) {
  if (environment(kTorchrun.rank) && environment(kTorchrun.size)) return &kTorchrun;
  if (environment(kOpenMpi.rank)) return &kOpenMpi;
  if (environment(kPmi.rank)) return &kPmi;
  if (in_slurm_step(environment)) return &kSlurm;
  return nullptr;
}

std::string master_address(const Environment& environment, const World& world) {
  if (auto address = environment("MASTER_ADDR")) return *address;
  for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
    if (const auto nodes = environment(name)) return first_host(*nodes);
  }
  if (world.local_size == world.size) return "127.0.0.1";
  throw ConfigError(
      fmt::format("environment variable MASTER_ADDR is missing: {} started {} processes, {} of "
                  "them on this host",
                  world.started_by, world.size, world.local_size),
      "set it to the address of rank 0's host (mpirun -x MASTER_ADDR=HOST)");
}

/// A port from the job's name, so that two jobs that share a host do not meet.
int port_of_job(const std::string& job) {
  constexpr std::size_t kPorts = 10000;
  constexpr int kFirst = 20000;
  return kFirst + static_cast<int>(std::hash<std::string>{}(job) % kPorts);
}

int master_port(const Environment& environment, const Dialect& dialect) {
  constexpr int kLastPort = 65535;
  if (const auto port = environment("MASTER_PORT")) {
    const int value = static_cast<int>(number("MASTER_PORT", *port, 1, kLastPort));
    // torchrun's agent listens on MASTER_PORT itself, in the protocol of its own version.
    return environment("TORCHELASTIC_USE_AGENT_STORE") == "True" ? value + 1 : value;
  }
  if (const auto job = environment(dialect.job)) return port_of_job(*job);
  return World{}.master_port;
}

}  // namespace

std::optional<World> world_from_environment(const Environment& environment) {
  const Dialect* dialect = dialect_of(environment);
  if (dialect == nullptr) return std::nullopt;
  constexpr int kMost = 1 << 20;
  const auto read = [&](const char* name, std::int64_t least, std::int64_t most) {
    return static_cast<int>(number(name, required(environment, name, *dialect), least, most));
  };
  const auto read_or = [&](const char* name, std::int64_t least, std::int64_t most, int other) {
    return environment(name) ? read(name, least, most) : other;
  };
  World world;
  world.started_by = dialect->started_by;
  world.size = read(dialect->size, 1, kMost);
  world.rank = read(dialect->rank, 0, world.size - 1);
  world.local_size = read_or(dialect->local_size, 1, world.size, 1);
  world.local_rank = read_or(dialect->local_rank, 0, world.size - 1, 0);
  world.master_addr = master_address(environment, world);
  world.master_port = master_port(environment, *dialect);
  return world;
}

std::string first_host(const std::string& node_list) {
  const std::size_t stop = node_list.find_first_of(",[");
  std::string host = node_list.substr(0, stop);
  if (stop == std::string::npos || node_list[stop] == ',') return host;
  const std::size_t end = node_list.find_first_of(",-]", stop);
  return host + node_list.substr(stop + 1, end - stop - 1);
}

int threads_of_rank(int wanted, int local_size) {
  const int all = wanted > 0 ? wanted : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, all / std::max(1, local_size));
}

}  // namespace polyphony
