#include <polyphony/pipeline/recording.h>

#include <fmt/format.h>

#include <polyphony/base/signals.h>
#include <polyphony/config/compat.h>
#include <polyphony/config/dump.h>
#include <polyphony/config/interpolate.h>
#include <polyphony/dist/launch.h>
#include <polyphony/loggers/local_store.h>
#include <polyphony/record/host.h>

namespace polyphony::pipeline {
config::Node resolved(const Request& request) {
  config::ResolveContext context;
  context.hydra = request.config.hydra;
  const config::Node values = config::resolve(request.config.config, context);
  return config::up_to_date(
      values, [](const std::string& warning) { fmt::print(stderr, "warning: {}\n", warning); });
}

Recording::Recording(const Request& request, const config::Node& config, const std::string& name,
                     std::optional<std::int64_t> seed)
    : directory_(record::RunDirectory::resume(request.output_dir)) {
  begin(request, config, name, seed);
}

Recording::Recording(const Request& request, const config::Node& config, const std::string& name,
                     std::optional<std::int64_t> seed, const train::Strategy& strategy)
    : directory_(record::RunDirectory::resume(request.output_dir)) {
  if (strategy.is_global_zero()) {
    begin(request, config, name, seed);
  } else {
    dist::log_to_file(strategy.rank(), directory_.path());
  }
}

void Recording::begin(const Request& request, const config::Node& config, const std::string& name,
                      std::optional<std::int64_t> seed) {
  store_.emplace(record::default_store_path());
  csv_.emplace(directory_.metrics_csv());
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
  run_ = store_->begin(info);
  fmt::print("run {} in {}\n", run_, directory_.path().string());
}

void Recording::finish(record::State state, const std::string& error) {
  if (store_) store_->finish(run_, state, error);
}

void Recording::during(const std::function<void()>& work) {
  try {
    work();
  } catch (const Interrupted& stop) {
    finish(record::State::kInterrupted, stop.what());
    throw;
  } catch (const std::exception& error) {
    finish(record::State::kFailed, error.what());
    throw;
  }
  finish(record::State::kFinished);
  if (store_) fmt::print("recorded: run {} in {}\n", run_, store_->path().string());
}

std::unique_ptr<train::Logger> Recording::logger() {
  if (!store_) return nullptr;
  return std::make_unique<loggers::LocalStore>(*store_, run_, *csv_);
}

}  // namespace polyphony::pipeline
