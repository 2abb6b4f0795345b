#include <polyphony/pipeline/processes.h>

#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include <polyphony/base/environment.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/signals.h>
#include <polyphony/dist/launch.h>

extern char** environ;

#include <polyphony/train/make_strategy.h>

namespace polyphony::pipeline {
namespace {

/// The name that scontrol knows this job by; "" outside Slurm.
std::string slurm_job(const Environment& environment) {
  const auto array = environment("SLURM_ARRAY_JOB_ID");
  const auto task = environment("SLURM_ARRAY_TASK_ID");
  if (array && task) return *array + "_" + *task;
  return environment("SLURM_JOB_ID").value_or("");
}

/// Runs `scontrol requeue JOB`. @return why it failed; "" where it did not
std::string call_scontrol(std::string job) {
  std::string program = "scontrol";
  std::string verb = "requeue";
  char* arguments[] = {program.data(), verb.data(), job.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "scontrol", nullptr, nullptr, arguments, environ);
  if (error != 0) return std::strerror(error);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return fmt::format("ended by signal {}", WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : fmt::format("exit code {}", WEXITSTATUS(status));
}

/// `scontrol requeue` of the Slurm job that this is, if POLYPHONY_REQUEUE=1 asks for it; says what
/// came of it.
void requeue(const Environment& environment) {
  const std::string asked = environment("POLYPHONY_REQUEUE").value_or("");
  if (asked.empty() || asked == "0") return;
  const std::string job = slurm_job(environment);
  if (job.empty()) {
    warn("POLYPHONY_REQUEUE: this is no job of Slurm (no SLURM_JOB_ID)");
    return;
  }
  const std::string failure = call_scontrol(job);
  if (failure.empty()) {
    inform("job {} is back in Slurm's queue", job);
  } else {
    warn("`scontrol requeue {}` failed: {}\n  everything is saved: submit the job again", job,
         failure);
  }
}

/// Does a process's part of a run, which stop signals ask to save and end.
/// @param rank  of this process among those of the run
void stoppable(int rank, const std::function<void()>& work) {
  StopSignals::until_exit();
  try {
    work();
  } catch (const Interrupted& stop) {
    if (rank == 0 && stop.signal_number() == SIGUSR1) requeue(process_environment());
    throw;
  }
}

}  // namespace

void in_processes(const Request& request, const train::TrainerOptions& trainer, int num_threads,
                  const RankWork& work) {
  const auto run_rank = [&] {
    std::unique_ptr<train::Strategy> strategy = train::make_strategy(trainer);
    stoppable(strategy->collective().rank(), [&] {
      Request mine = request;
      // Under a launcher of others rank 0 alone has made a directory.
      mine.output_dir = strategy->collective().broadcast(request.output_dir.string());
      if (mine.output_dir != request.output_dir) {
        mine.config.hydra.find("runtime")->set("output_dir", mine.output_dir.string());
      }
      work(mine, std::move(strategy));
    });
  };
  if (const auto launch = train::processes_to_launch(trainer, num_threads)) {
    dist::launch(*launch, process_environment(), run_rank);
  } else {
    run_rank();
  }
}

void stop_if_asked(dist::Collective& collective) {
  const int number = collective.agreed_signal(StopSignals::requested());
  if (number != 0) throw Interrupted::unsaved(number);
}

}  // namespace polyphony::pipeline
