#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/record/formats/append_file.h>
#include <polyphony/record/formats/framing.h>
#include <polyphony/record/sink.h>

namespace polyphony::record::wandb {
class Record;
}

namespace polyphony::record {

struct WandbOptions {
  std::filesystem::path save_dir;  ///< the run goes to SAVE_DIR/wandb/offline-run-DATE_TIME-ID
  std::string project;
  std::string entity;  ///< "" : the account's own
  std::string display_name;
  std::string group;
  std::string job_type;
  std::string notes;
  std::vector<std::string> tags;
  std::string id;          ///< "" : a new one, eight letters and digits
  std::string prefix;      ///< put before names, with "-"; may be empty
  bool resume = false;     ///< go on behind what a local run of the same id had logged
  bool log_model = false;  ///< checkpoints become files of the run
};

/// Eight letters and digits, of the system's own randomness: no run's seed moves it.
std::string new_wandb_id();
/// The newest local run of an id under SAVE_DIR/wandb; nullopt where there is none.
std::optional<std::filesystem::path> find_wandb_run(const std::filesystem::path& save_dir,
                                                    const std::string& id);

/// A W&B offline run, which `wandb sync DIRECTORY` uploads: the transaction log run-ID.wandb and
/// files/ with config.yaml, wandb-metadata.json, wandb-summary.json, requirements.txt, output.log
/// and diff.patch.
class WandbLog : public Sink {
 public:
  WandbLog(WandbOptions options, const RunInfo& run);
  ~WandbLog() override;
  std::string name() const override { return "WandbLogger"; }
  void log(const Row& row) override;
  void log_hyper_parameters(const config::Node& values) override;
  void log_system(std::span<const SystemMetric> metrics) override;
  void log_console(std::span<const ConsoleLine> lines) override;
  void log_alert(const Alert& alert) override;
  void log_artifact(const Artifact& artifact) override;
  void flush() override;
  void finish(State state, const std::string& error) override;

  const std::filesystem::path& directory() const { return directory_; }
  const std::string& id() const { return options_.id; }

 private:
  void begin(const RunInfo& run);
  void write(wandb::Record& record);
  void write_metadata(const RunInfo& run, const char* state) const;
  void write_config();
  void write_summary();
  void write_end(State state, const std::string& error);
  void add_file(const std::string& name, bool at_end);

  WandbOptions options_;
  RunInfo run_;
  double started_;
  std::filesystem::path directory_;
  std::optional<AppendFile> log_;
  std::optional<AppendFile> output_;
  WandbLogWriter framing_{0};
  std::int64_t records_ = 0;
  bool ended_ = false;  ///< the records of the end are in the log
  std::int64_t history_step_ = 0;
  std::map<std::string, std::string> summary_;  ///< JSON by name
  std::vector<std::pair<std::string, config::Node>> config_;
};

}  // namespace polyphony::record
