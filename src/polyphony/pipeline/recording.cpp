#include <polyphony/pipeline/recording.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/signals.h>
#include <polyphony/config/compat.h>
#include <polyphony/config/dump.h>
#include <polyphony/config/interpolate.h>
#include <polyphony/loggers/local_store.h>
#include <polyphony/record/host.h>

namespace polyphony::pipeline {
namespace {

/// Hydra's run directory, absolute, with its interpolations replaced.
std::filesystem::path run_directory(const Request& request) {
  const config::Node* dir = request.config.hydra.select("run.dir");
  config::Node tree = request.config.config;
  tree.set("__run_dir__", dir == nullptr ? config::Node() : *dir);
  config::ResolveContext context;
  context.hydra = request.config.hydra;
  const config::Node resolved = *config::resolve(tree, context).find("__run_dir__");
  if (!resolved.is_string()) {
    throw ConfigError("hydra.run.dir: the run needs a directory", "write hydra.run.dir=PATH");
  }
  return std::filesystem::absolute(resolved.as_string());
}

config::Node list_of(const std::vector<std::string>& texts) {
  config::Node list = config::Node::list();
  for (const std::string& text : texts) list.items().emplace_back(text);
  return list;
}

record::RunDirectory open_directory(const Request& request) {
  const std::filesystem::path wanted = run_directory(request);
  record::RunDirectory directory = record::RunDirectory::create(wanted);
  directory.write_hydra({config::to_yaml(request.config.config),
                         config::to_yaml(list_of(request.config.task_overrides)),
                         config::to_yaml(request.config.hydra)});
  return directory;
}

}  // namespace

config::Node resolved(const Request& request) {
  config::ResolveContext context;
  context.hydra = request.config.hydra;
  const config::Node values = config::resolve(request.config.config, context);
  return config::up_to_date(
      values, [](const std::string& warning) { fmt::print(stderr, "warning: {}\n", warning); });
}

Recording::Recording(const Request& request, const config::Node& config, const std::string& name,
                     std::optional<std::int64_t> seed)
    : directory_(open_directory(request)),
      store_(record::default_store_path()),
      csv_(directory_.metrics_csv()) {
  record::RunInfo info;
  info.name = name;
  info.directory = directory_.path();
  info.host = record::host_name();
  info.pid = record::process_id();
  if (const auto git = record::git_state()) {
    info.git_commit = git->commit;
    info.git_dirty = git->dirty;
  }
  info.command = request.command_line;
  info.config_yaml = config::to_yaml(config);
  info.overrides = request.config.task_overrides;
  info.seed = seed;
  run_ = store_.begin(info);
  fmt::print("run {} in {}\n", run_, directory_.path().string());
}

void Recording::during(const std::function<void()>& work) {
  try {
    work();
  } catch (const Interrupted& stop) {
    store_.finish(run_, record::State::kInterrupted, stop.what());
    throw;
  } catch (const std::exception& error) {
    store_.finish(run_, record::State::kFailed, error.what());
    throw;
  }
  store_.finish(run_, record::State::kFinished);
  fmt::print("recorded: run {} in {}\n", run_, store_.path().string());
}

std::unique_ptr<train::Logger> Recording::logger() {
  return std::make_unique<loggers::LocalStore>(store_, run_, csv_);
}

}  // namespace polyphony::pipeline
