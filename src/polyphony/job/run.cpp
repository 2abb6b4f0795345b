#include <polyphony/job/run.h>

#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/job/earlier_run.h>
#include <polyphony/job/report.h>
#include <polyphony/job/run_directory.h>
#include <polyphony/job/settings.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using config::Node;

/// Changes the working directory while it lives.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const fs::path& to) : old_(fs::current_path()) { fs::current_path(to); }
  ~WorkingDirectory() {
    std::error_code ignored;
    fs::current_path(old_, ignored);
  }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;

 private:
  fs::path old_;
};

/// Sets environment variables while it lives.
class EnvironmentOverride {
 public:
  explicit EnvironmentOverride(const Node& values) {
    for (const auto& [key, value] : values.entries()) {
      const std::string name = config::python_str(key);
      const char* old = std::getenv(name.c_str());
      old_.emplace_back(name, old == nullptr ? std::nullopt : std::optional<std::string>(old));
      setenv(name.c_str(), config::python_str(value).c_str(), 1);
    }
  }
  ~EnvironmentOverride() {
    for (const auto& [name, value] : old_) {
      if (value) {
        setenv(name.c_str(), value->c_str(), 1);
      } else {
        unsetenv(name.c_str());
      }
    }
  }
  EnvironmentOverride(const EnvironmentOverride&) = delete;
  EnvironmentOverride& operator=(const EnvironmentOverride&) = delete;

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> old_;
};

/// Hydra's callbacks are Python classes: better no run than one without them.
void refuse_callbacks(const Node& hydra) {
  const Node* callbacks = hydra.find("callbacks");
  if (callbacks == nullptr) return;
  for (const auto& [name, settings] : callbacks->entries()) {
    if (settings.find("_target_") == nullptr) continue;
    throw ConfigError(fmt::format("hydra.callbacks.{}: '{}' is not there", config::python_str(name),
                                  config::python_str(*settings.find("_target_"))),
                      "Hydra's callbacks are Python classes; take it away with ~hydra.callbacks." +
                          config::python_str(name));
  }
}

fs::path make_output_directory(const fs::path& wanted, OutputDirectory how, bool has_subdir) {
  if (how == OutputDirectory::kFresh && has_subdir) {
    return RunDirectory::create(wanted).path();
  }
  std::error_code error;
  fs::create_directories(wanted, error);
  if (error) {
    throw IoError(
        fmt::format("{}: cannot make the output directory: {}", wanted.string(), error.message()),
        "check the permissions, or set hydra.run.dir (hydra.sweep.dir) to another place");
  }
  return wanted;
}

}  // namespace

Node Job::resolved() const {
  config::ResolveContext context;
  context.hydra = composition.hydra;
  context.warn = [](const std::string& text) { warn("{}", text); };
  return config::resolve(composition.config, context);
}

void configure_log(Log& log, const config::Composition& composition, const std::string& key) {
  const Settings settings(composition);
  log.configure(settings.get(key), settings.get("verbose"));
}

JobRun::JobRun(const App& app, config::Composition composition, Place place)
    : app_(app), place_(place), composition_(std::move(composition)) {
  refuse_callbacks(composition_.hydra);
  const Settings settings(composition_);
  fs::path wanted = settings.text(place == Place::kRun     ? "run.dir"
                                  : place == Place::kSweep ? "sweep.dir"
                                                           : "runtime.output_dir");
  if (place == Place::kSweep) wanted /= settings.text("sweep.subdir");
  if (wanted.empty()) {
    throw ConfigError("hydra.run.dir: the run needs a directory", "write hydra.run.dir=PATH");
  }
  wanted = fs::absolute(wanted).lexically_normal();
  output_dir_ =
      app.output == OutputDirectory::kNone
          ? wanted
          : make_output_directory(wanted, app.output, settings.text("output_subdir") == ".hydra");
  composition_.hydra.find("runtime")->set("output_dir", output_dir_.string());
}

fs::path JobRun::log_file() const {
  return output_dir_ / (Settings(composition_).text("job.name") + ".log");
}

bool JobRun::changes_directory() const {
  if (place_ == Place::kRerun) return false;
  const Node chdir = Settings(composition_).get("job.chdir");
  if (!chdir.is_null()) return chdir.as_bool();
  if (Settings(composition_).text("runtime.version_base") != "1.1") return false;
  warn(
      "Future Hydra versions will no longer change working directory at job runtime by default.\n  "
      "to choose, set hydra.job.chdir=true or false");
  return true;
}

void JobRun::save_files() const {
  const std::string subdir = Settings(composition_).text("output_subdir");
  if (subdir.empty()) return;
  save_composition(composition_, output_dir_ / subdir);
}

void JobRun::run(Log& log) const {
  std::optional<WorkingDirectory> moved;
  if (app_.output != OutputDirectory::kNone) {
    if (changes_directory()) moved.emplace(output_dir_);
    configure_log(log, composition_, "job_logging");
    if (place_ != Place::kResume) save_files();
  }
  const EnvironmentOverride environment(Settings(composition_).get("job.env_set"));
  app_.task(Job{composition_, output_dir_, log});
}

int run_job(const JobRun& job) {
  Log log;
  try {
    configure_log(log, job.composition(), "hydra_logging");
    job.run(log);
    return 0;
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    print_failure(failure, &job.composition().task_overrides);
    return failure.exit_code;
  }
}

}  // namespace polyphony::job
