#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include <polyphony/record/run.h>

namespace polyphony::record {

/// A run as another record tells it: what `runs import` puts into the store.
struct ImportedRun {
  RunInfo info;  ///< `source` says what it was read from; `config_yaml` may be empty
  std::vector<Metric> metrics;
  std::vector<SystemMetric> system;
  std::vector<ConsoleLine> console;
  std::vector<Alert> alerts;
  double started = 0;  ///< seconds since 1970; 0 where unknown
  std::optional<double> ended;
  State state = State::kFinished;
  bool truncated = false;  ///< the record breaks off in the middle of an entry, as of a killed run
  std::string left_out;    ///< what could not be read of it, for a message; "" where all is whole
};

// Each @throws IoError where the file cannot be read, DataError naming file and place where it is
// damaged or of another format.

/// A table of metrics: Lightning's CSVLogger's, or any other with a column `step` or `epoch`. Empty
/// cells are no values; columns that are no numbers are left out, and rows that are torn or
/// damaged.
ImportedRun read_csv_log(const std::filesystem::path& file);
/// A TensorBoard event file, or a directory: all event files that lie in it, in the order of their
/// names. Scalars (also those kept as tensors), hyper-parameters, and the epoch where one is
/// logged.
ImportedRun read_tensorboard(const std::filesystem::path& path);
/// A W&B run: its run-ID.wandb, or the directory that has one.
ImportedRun read_wandb(const std::filesystem::path& path);

}  // namespace polyphony::record
