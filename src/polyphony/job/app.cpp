#include <polyphony/job/app.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/job/completion.h>
#include <polyphony/job/earlier_run.h>
#include <polyphony/job/log.h>
#include <polyphony/job/report.h>
#include <polyphony/job/run.h>
#include <polyphony/job/settings.h>
#include <polyphony/job/show.h>
#include <polyphony/job/sweep.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using config::Composition;
using config::Node;

/// The composition of a single run; nothing if files or overrides name hydra.mode, or if it cannot
/// be composed: it may be a sweep then.
std::optional<Composition> compose_single_run(Source& source, std::vector<std::string> overrides) {
  overrides.emplace_back("hydra.mode=RUN");
  config::Provenance provenance;
  try {
    Composition composition = source.load_run(overrides, provenance);
    const auto& history = provenance.history("hydra.mode");
    const auto others =
        std::count_if(history.begin(), history.end(),
                      [](const config::Setting& setting) { return setting.value != "None"; });
    if (others == 1) return composition;  // ours
  } catch (const Error&) {
    // told by the composition that knows the mode
  }
  return std::nullopt;
}

/// hydra.mode of the configuration; "" where it has none or cannot be composed yet.
std::string configured_mode(Source& source, const std::vector<std::string>& overrides) {
  try {
    return Settings(source.load(overrides, RunMode::kMultirun)).text("mode");
  } catch (const Error&) {
    return "";
  }
}

int run_or_sweep(const App& app, Source& source, const Arguments& arguments) {
  std::vector<std::string> overrides = arguments.overrides;
  if (!arguments.multirun) {
    if (auto composition = compose_single_run(source, overrides)) {
      return run_job(JobRun(app, *std::move(composition), JobRun::Place::kRun));
    }
  }
  std::string mode = configured_mode(source, overrides);
  if (mode.empty()) {
    mode = arguments.multirun ? "MULTIRUN" : "RUN";
    overrides.push_back("hydra.mode=" + mode);
  } else if (arguments.multirun && mode == "RUN") {
    warn("Running with --multirun, overriding with `hydra.mode=MULTIRUN`.");
    mode = "MULTIRUN";
    overrides.emplace_back("hydra.mode=MULTIRUN");
  }
  if (mode == "RUN") {
    Composition composition = source.load(overrides, RunMode::kRun);
    return run_job(JobRun(app, std::move(composition), JobRun::Place::kRun));
  }
  Log log;
  return run_sweep(app, source, overrides, log);
}

/// --experimental-rerun: a run's configuration from its .hydra files. Hydra reads a pickle; here
/// the YAML files beside it are read.
int rerun(const App& app, const std::string& path, const std::vector<std::string>& overrides) {
  warn("Experimental rerun CLI option, other command line args are ignored.");
  fs::path folder = path;
  if (folder.filename() == "config.pickle") folder = folder.parent_path();
  if (!fs::is_directory(folder) || !fs::exists(folder / "config.yaml")) {
    throw config::ComposeError("ValueError", fmt::format("File {} does not exist!", path),
                               "give the .hydra directory of a run, with its config.yaml and "
                               "hydra.yaml");
  }
  if (!overrides.empty()) warn("Config overrides are not supported as of now.");
  Composition composition = read_composition(folder);
  return run_job(JobRun(app, std::move(composition), JobRun::Place::kRerun));
}

void check_one_command(const Arguments& arguments) {
  const int commands = arguments.run + arguments.cfg.has_value() + arguments.multirun +
                       arguments.shell_completion + arguments.info.has_value();
  if (arguments.resolve && !arguments.cfg && !arguments.help) {
    throw config::ComposeError(
        "ValueError", "The --resolve flag can only be used in conjunction with --cfg or --help");
  }
  if (commands > 1 && !arguments.hydra_help && !arguments.help) {
    throw config::ComposeError("ValueError",
                               "Only one of --run, --multirun, --cfg, --info and "
                               "--shell_completion can be specified");
  }
}

}  // namespace

int run_app(const App& app, Arguments arguments) {
  if (arguments.version) {
    inform("{}", app.version);
    return 0;
  }
  if (arguments.rerun) return rerun(app, *arguments.rerun, arguments.overrides);
  Source source(app, arguments);
  if (!source.version_base_said()) {
    warn(
        "The version_base parameter is not specified.\n"
        "Please specify a compatability version level, or None.\n"
        "Will assume defaults for version 1.1");
  }
  check_one_command(arguments);
  if (arguments.help) {
    show_help(app, source, arguments);
  } else if (arguments.hydra_help) {
    show_hydra_help(app, source, arguments);
  } else if (arguments.cfg) {
    show_config(source, arguments);
  } else if (arguments.info) {
    show_info(source, *arguments.info, arguments.overrides);
  } else if (arguments.shell_completion) {
    shell_completion(app, arguments.overrides);
  } else {
    return run_or_sweep(app, source, arguments);
  }
  return 0;
}

int run_app(const App& app, const std::vector<std::string>& words) {
  try {
    return run_app(app, parse_arguments(words, app.program, app.overrides));
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    print_failure(failure);
    return failure.exit_code;
  }
}

}  // namespace polyphony::job
