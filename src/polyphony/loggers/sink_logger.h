#pragma once

#include <memory>

#include <polyphony/record/recorder.h>
#include <polyphony/record/run.h>
#include <polyphony/train/logger.h>

namespace polyphony::loggers {

/// A logger whose format is a record::Sink. In a recorded run the pipeline opens the sink and gives
/// it to the run's recorder with all others; in a trainer without one the logger has a recorder of
/// its own. Either way nothing is written on the training thread.
class SinkLogger : public train::Logger {
 public:
  ~SinkLogger() override;
  /// Makes the files. @throws IoError if that fails, ConfigError for options that fit no run
  virtual std::unique_ptr<record::Sink> open(const record::RunInfo& run) = 0;

  void log_metrics(const train::MetricValues& values, std::int64_t step,
                   std::int64_t epoch) override;
  void log_hyperparams(const tensor::Value& values) override;
  void save() override;
  void finalize(const std::string& status) override;

 private:
  record::Recorder& recorder();

  std::unique_ptr<record::Recorder> own_;
};

}  // namespace polyphony::loggers
