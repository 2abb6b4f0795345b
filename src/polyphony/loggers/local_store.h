#pragma once

#include <polyphony/record/metrics_csv.h>
#include <polyphony/record/store.h>
#include <polyphony/train/logger.h>

namespace polyphony::loggers {

/// Every metric to the run store and to the run's metrics.csv, committed before the call returns.
class LocalStore : public train::Logger {
 public:
  /// Borrows both; they outlive the logger.
  LocalStore(record::Store& store, std::int64_t run, record::MetricsCsv& csv);
  void log_metrics(const train::MetricValues& values, std::int64_t step,
                   std::int64_t epoch) override;

 private:
  record::Store& store_;
  std::int64_t run_;
  record::MetricsCsv& csv_;
};

}  // namespace polyphony::loggers
