#pragma once

#include <optional>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/loggers/sink_logger.h>

namespace polyphony::loggers {

struct MLFlowLoggerOptions {
  std::string experiment_name = "lightning_logs";
  std::optional<std::string> run_name;
  std::optional<std::string> tracking_uri;
  config::Named<std::string> tags;
  std::optional<std::string> save_dir = "./mlruns";
  config::Node log_model = false;
  std::string prefix;
  std::optional<std::string> artifact_location;
  std::optional<std::string> run_id;

  void describe(config::Fields& f);
};

/// Lightning's MLFlowLogger, for MLflow's file store: `mlflow ui --backend-store-uri DIRECTORY`.
class MLFlowLogger : public SinkLogger {
 public:
  using Options = MLFlowLoggerOptions;
  explicit MLFlowLogger(Options options) : options_(std::move(options)) {}
  /// @throws ConfigError if run_id names no run of the store
  std::unique_ptr<record::Sink> open(const record::RunInfo& run) override;

 private:
  Options options_;
};

}  // namespace polyphony::loggers
