#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/compose/compose.h>
#include <polyphony/job/arguments.h>

namespace polyphony::job {

class Log;

/// One run of the task function: what `cfg` and `HydraConfig` are in a Hydra program.
struct Job {
  config::Composition composition;   ///< its hydra node is filled in as during the run
  std::filesystem::path output_dir;  ///< absolute; exists, except under kNone
  Log& log;                          ///< as hydra.job_logging says

  /// The task's configuration with every interpolation replaced. @throws ComposeError
  config::Node resolved() const;
};

using Task = std::function<void(const Job&)>;

/// Whether the jobs of a sweep share the program's process.
enum class Isolation {
  kInProcess,  ///< as Hydra's basic launcher, unless hydra.launcher.n_jobs asks for more than one
  kProcess,    ///< each job in a process of its own: a crash loses one job only
};

/// Whether a run directory is made, and what happens where it holds files of an earlier run.
enum class OutputDirectory {
  kReuse,  ///< as Hydra does
  kFresh,  ///< "-1", "-2", … is put behind the name, so that no run overwrites another
  kNone,   ///< none is made and nothing written: another process of the run does both
};

/// A program that composes a configuration and does something with it: @hydra.main.
struct App {
  std::string name;                  ///< hydra.job.name, and the job log's name
  std::string program;               ///< as the user calls it: "polyphony train"
  std::filesystem::path config_dir;  ///< of the primary configuration; "" for none
  std::string config_name;           ///< "" for none
  /// Nothing: the newest. "": never said, which Hydra takes for 1.1, with a warning.
  std::optional<std::string> version_base;
  Overrides overrides = Overrides::kTogether;
  Isolation isolation = Isolation::kInProcess;
  OutputDirectory output = OutputDirectory::kReuse;
  std::string help_template;  ///< for --help where the configuration has no template of its own
  std::string version;        ///< what --version prints
  Task task;
};

/// Does what a Hydra program's `main()` does with the words behind the program's name: composes,
/// and runs the task once or as a sweep, or shows what the flags ask for. Errors are printed.
/// @return the exit code: 0, or that of the error's class; of a sweep, that of its first failure
int run_app(const App& app, const std::vector<std::string>& words);

/// run_app without its error printing and with the arguments already parsed.
/// @throws what goes wrong
int run_app(const App& app, Arguments arguments);

}  // namespace polyphony::job
