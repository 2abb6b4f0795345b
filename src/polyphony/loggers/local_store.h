#pragma once

#include <filesystem>

#include <polyphony/record/recorder.h>
#include <polyphony/train/logger.h>

namespace polyphony::loggers {

/// The logger of a recorded run: all that is logged goes to the run's recorder, which writes the
/// store, the run's metrics.csv and what the configured loggers are.
/// A run that is resumed in a directory of its own begins with the rows that the other run had
/// logged when its checkpoint was taken, as far as they can still be read: a torn or damaged row is
/// told and left out, and stops no run.
class LocalStore : public train::Logger {
 public:
  /// Borrows the recorder; it outlives the logger. @param metrics_csv  that the recorder writes
  LocalStore(record::Recorder& recorder, std::filesystem::path metrics_csv);
  void log_metrics(const train::MetricValues& values, std::int64_t step,
                   std::int64_t epoch) override;
  void save() override;
  /// Records the checkpoint with its hash.
  void after_save_checkpoint(const std::filesystem::path& path) override;
  /// Waits until the rows that the state counts are with the system.
  tensor::Value state_dict() const override;
  tensor::Value state_dict_before(std::int64_t newest) const override;
  void load_state_dict(const tensor::Value& state) override;

 private:
  void take_rows(const std::filesystem::path& earlier, std::size_t count);

  record::Recorder& recorder_;
  std::filesystem::path metrics_csv_;
  std::int64_t earlier_rows_ = 0;  ///< that the table had before this run
  std::int64_t rows_ = 0;          ///< logged
};

}  // namespace polyphony::loggers
