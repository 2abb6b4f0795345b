#pragma once

#include <filesystem>
#include <string>

#include <polyphony/config/compose/compose.h>
#include <polyphony/job/app.h>
#include <polyphony/job/log.h>

namespace polyphony::job {

/// One job of a run or a sweep, up to the point where it can begin.
class JobRun {
 public:
  enum class Place { kRun, kSweep, kRerun, kResume };
  /// Finds and makes the output directory: that of hydra.run.dir, or hydra.sweep.dir with its
  /// subdir for a job of a sweep, or that of the earlier run for --experimental-rerun and for a run
  /// that is resumed.
  /// @throws ComposeError, IoError
  JobRun(const App& app, config::Composition composition, Place place);

  /// Writes the files of hydra.output_subdir (not of a run that is resumed), changes the directory
  /// where hydra.job.chdir says so, configures the job log (none of these under
  /// OutputDirectory::kNone), sets hydra.job.env_set and calls the task. What was changed is put
  /// back.
  /// @throws what the task throws
  void run(Log& log) const;

  const std::filesystem::path& output_dir() const { return output_dir_; }
  /// Where the job log goes by hydra.job_logging's default.
  std::filesystem::path log_file() const;
  const config::Composition& composition() const { return composition_; }

 private:
  bool changes_directory() const;
  void save_files() const;

  const App& app_;
  Place place_;
  config::Composition composition_;
  std::filesystem::path output_dir_;
};

/// Applies `hydra.hydra_logging` or `hydra.job_logging` to the log.
void configure_log(Log& log, const config::Composition& composition, const std::string& key);

/// Runs a job; its failure is printed with the overrides that it ran under.
/// @return the exit code
int run_job(const JobRun& job);

}  // namespace polyphony::job
