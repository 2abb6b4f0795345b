#pragma once

#include <filesystem>
#include <vector>

#include <polyphony/record/metrics_csv.h>
#include <polyphony/record/sink.h>
#include <polyphony/record/store.h>

namespace polyphony::record {

/// A run's rows in the store. The run's begin and end are written by the one who owns it.
class StoreLog : public Sink {
 public:
  StoreLog(const std::filesystem::path& store, std::int64_t run)
      : store_(store, StoreMode::kExisting), run_(run) {}
  std::string name() const override { return "the run store"; }
  void log(const Row& row) override;
  void log_hyper_parameters(const config::Node& values) override;
  void log_model_summary(const std::string& text) override { store_.set_model_summary(run_, text); }
  void log_system(std::span<const SystemMetric> metrics) override;
  void log_console(std::span<const ConsoleLine> lines) override { store_.log_console(run_, lines); }
  void log_alert(const Alert& alert) override { store_.log_alert(run_, alert); }
  void log_artifact(const Artifact& artifact) override { store_.add_artifact(run_, artifact); }
  /// One transaction for all that was logged since.
  void flush() override;
  void finish(State, const std::string&) override { flush(); }

 private:
  Store store_;
  std::int64_t run_;
  std::vector<Metric> pending_;
};

/// The metrics.csv in a run's own directory.
class RunCsvLog : public Sink {
 public:
  explicit RunCsvLog(std::filesystem::path path) : csv_(std::move(path)) {}
  std::string name() const override { return csv_.path().string(); }
  void log(const Row& row) override { csv_.append(row.step, row.epoch, row.values); }

 private:
  MetricsCsv csv_;
};

}  // namespace polyphony::record
