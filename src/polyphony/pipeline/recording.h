#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/pipeline/entry.h>
#include <polyphony/record/metrics_csv.h>
#include <polyphony/record/run_directory.h>
#include <polyphony/record/store.h>
#include <polyphony/train/logger.h>
#include <polyphony/train/strategy.h>

namespace polyphony::pipeline {

/// The request's configuration and Hydra node with every interpolation replaced.
config::Node resolved(const Request& request);

/// A run's directory, its row in the store and its metrics, from begin to end. Of several processes
/// rank 0 keeps the record; the others write their output to rank-N.log in rank 0's directory.
class Recording {
 public:
  /// Begins the row in the store; the run's directory is there already.
  /// @throws IoError where either cannot be written
  Recording(const Request& request, const config::Node& config, const std::string& name,
            std::optional<std::int64_t> seed);
  Recording(const Request& request, const config::Node& config, const std::string& name,
            std::optional<std::int64_t> seed, const train::Strategy& strategy);

  /// Runs the work and records how it ended: finished, interrupted, or failed with the error, which
  /// goes on to the caller.
  void during(const std::function<void()>& work);

  /// Null in processes that keep no record.
  std::unique_ptr<train::Logger> logger();
  const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  void begin(const Request& request, const config::Node& config, const std::string& name,
             std::optional<std::int64_t> seed);
  void finish(record::State state, const std::string& error = "");

  record::RunDirectory directory_;
  std::optional<record::Store> store_;
  std::optional<record::MetricsCsv> csv_;
  std::int64_t run_ = 0;
};

}  // namespace polyphony::pipeline
