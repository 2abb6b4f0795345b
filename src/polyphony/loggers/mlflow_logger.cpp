#include <polyphony/loggers/mlflow_logger.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/record/formats/mlflow_log.h>

namespace polyphony::loggers {
namespace {

bool is_file_store(const std::optional<std::string>& uri) {
  return !uri || uri->starts_with("file:") || uri->find("://") == std::string::npos;
}

/// "file:./mlruns" and "file:///a" are ./mlruns and /a.
std::string path_of(std::string uri) {
  if (uri.starts_with("file:")) uri.erase(0, 5);
  if (uri.starts_with("//")) uri.erase(0, 2);
  return uri;
}

}  // namespace

void MLFlowLoggerOptions::describe(config::Fields& f) {
  f("experiment_name", experiment_name, "the experiment on MLflow; made where absent");
  f("run_name", run_name, "the run's name; null: run_name of the configuration");
  f("tracking_uri", tracking_uri, "file:DIRECTORY of the store; replaces save_dir");
  f.check("tracking_uri", is_file_store(tracking_uri),
          "file:DIRECTORY: a server is not spoken to; `mlflow ui` opens the directory");
  f("tags", tags, "tags of the run");
  f("save_dir", save_dir, "directory of the store");
  f("log_model", log_model, "copy checkpoints into the run's artifacts: true, all, or false");
  f.check("log_model",
          log_model.kind() == config::Node::Kind::kBool ||
              (log_model.is_string() && log_model.as_string() == "all"),
          "true, false or all");
  f("prefix", prefix, "put before every name, with '-'");
  f("artifact_location", artifact_location, "where a new experiment keeps artifacts");
  f("run_id", run_id, "go on with this run of the store");
}

std::unique_ptr<record::Sink> MLFlowLogger::open(const record::RunInfo& run) {
  record::MlflowOptions options;
  options.directory = options_.tracking_uri ? path_of(*options_.tracking_uri)
                                            : options_.save_dir.value_or("mlruns");
  options.experiment = options_.experiment_name;
  options.run_name = options_.run_name.value_or(run.name);
  options.run_id = options_.run_id.value_or("");
  options.prefix = options_.prefix;
  options.artifact_location = options_.artifact_location.value_or("");
  options.tags = options_.tags;
  options.log_model = options_.log_model.is_string() || options_.log_model.as_bool();
  return std::make_unique<record::MlflowLog>(std::move(options), run);
}

POLYPHONY_REGISTER(train::Logger, MLFlowLogger, "polyphony.loggers.MLFlowLogger",
                   "a run in MLflow's file store, which `mlflow ui` opens")

}  // namespace polyphony::loggers
