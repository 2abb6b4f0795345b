#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/dist/collective.h>
#include <polyphony/job/run_directory.h>
#include <polyphony/pipeline/entry.h>
#include <polyphony/record/console.h>
#include <polyphony/record/recorder.h>
#include <polyphony/record/store_log.h>
#include <polyphony/train/logger.h>

namespace polyphony::pipeline {

/// The request's configuration and Hydra node with every interpolation replaced.
config::Node resolved(const Request& request);

/// What a user says about the record of a run, beside the loggers.
struct RecordingOptions {
  std::vector<std::string> tags;
  std::string group;
  std::string notes;
  bool console = true;
  double system_interval = 1.0;
  bool gradient_norm = true;
  int histogram_every_n_epochs = 0;

  void describe(config::Fields& f);
};

using Loggers = config::Named<config::Child<train::Logger>>;

/// What a run is to its record.
struct RunLabel {
  std::string name;
  std::optional<std::int64_t> seed;
  RecordingOptions options;
  Loggers loggers;
  /// Rows of metrics.csv that were there when the checkpoint was saved from which the run goes on
  /// in its own directory; nullopt: a run of its own.
  std::optional<std::int64_t> rows_before = std::nullopt;
};

/// A run's directory, its row in the store and its metrics, from begin to end. Of several processes
/// rank 0 keeps the record; the others write their output to rank-N.log in rank 0's directory.
class Recording {
 public:
  /// Begins the row in the store; the run's directory is there already. A store that cannot be
  /// written is told, and the record kept in the run's directory: see record::StoreLog.
  /// @throws IoError where the directory cannot be written, ConfigError for a logger's options
  Recording(const Request& request, const config::Node& config, RunLabel label);
  Recording(const Request& request, const config::Node& config, RunLabel label,
            const dist::Collective& collective);
  ~Recording();

  /// Runs the work and records how it ended: finished, interrupted, or failed with the error, which
  /// goes on to the caller.
  void during(const std::function<void()>& work);

  /// What the trainer logs to: the recorder, then configured loggers that are no sinks. Once; empty
  /// in processes that keep no record.
  std::vector<std::unique_ptr<train::Logger>> take_loggers();
  /// Null in processes that keep no record.
  record::Recorder* recorder() { return recorder_ ? &*recorder_ : nullptr; }
  /// As wandb.alert. @param level  INFO, WARN or ERROR
  void alert(const std::string& title, const std::string& text, const std::string& level);
  const RecordingOptions& options() const { return label_.options; }
  const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  void begin(const Request& request, const config::Node& config);
  std::unique_ptr<record::StoreLog> open_row(record::RunInfo info) const;
  record::RunInfo describe(const Request& request, const config::Node& config) const;
  std::vector<std::unique_ptr<record::Sink>> open_sinks(const record::RunInfo& info);
  void finish(record::State state, const std::string& error = "");
  void bring_in_earlier() const;

  job::RunDirectory directory_;
  RunLabel label_;
  record::StoreLog* store_ = nullptr;  ///< among the recorder's sinks
  std::filesystem::path metrics_csv_;
  bool composed_ = false;  ///< .hydra says how the run was composed: `polyphony resume` reads it
  std::unique_ptr<record::ConsoleCapture> console_;
  std::vector<std::unique_ptr<train::Logger>> others_;  ///< loggers that are no sinks
  std::optional<record::Recorder> recorder_;
};

}  // namespace polyphony::pipeline
