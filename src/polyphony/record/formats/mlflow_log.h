#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/record/formats/append_file.h>
#include <polyphony/record/sink.h>

namespace polyphony::record {

struct MlflowOptions {
  std::filesystem::path directory;  ///< the file store, usually mlruns
  std::string experiment = "lightning_logs";
  std::string run_name;  ///< "": the run's own
  std::string run_id;    ///< go on with a run of the store; "": a new one, 32 hexadecimal digits
  std::string prefix;    ///< put before names, with "-"; may be empty
  std::string artifact_location;  ///< of a new experiment; "": its directory
  Pairs tags;
  bool log_model = false;  ///< checkpoints are copied into the run's artifacts
};

/// A run in MLflow's file store, as `mlflow ui --backend-store-uri DIRECTORY` opens it.
class MlflowLog : public Sink {
 public:
  /// @throws ConfigError where run_id names no run of the store
  MlflowLog(MlflowOptions options, const RunInfo& run);
  std::string name() const override { return "MLFlowLogger"; }
  void log(const Row& row) override;
  void log_hyper_parameters(const config::Node& values) override;
  void log_model_summary(const std::string& text) override;
  void log_system(std::span<const SystemMetric> metrics) override;
  void log_artifact(const Artifact& artifact) override;
  void log_text(const std::string& tag, const std::string& markdown, std::int64_t step) override;
  void log_image(const std::string& tag, const Image& image, std::int64_t step) override;
  void flush() override;
  void finish(State state, const std::string& error) override;

  const std::filesystem::path& directory() const { return directory_; }

 private:
  std::filesystem::path experiment_directory();
  void begin(const RunInfo& run);
  void write_meta(int status, std::optional<double> ended) const;
  void add_value(const std::string& name, double time, double value, std::int64_t step);

  MlflowOptions options_;
  std::string user_;
  std::string experiment_id_;
  std::string artifacts_;
  double started_;
  std::filesystem::path directory_;
  std::map<std::string, std::string> pending_;  ///< lines by metric
  std::int64_t system_step_ = 0;
};

}  // namespace polyphony::record
