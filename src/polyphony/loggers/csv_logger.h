#pragma once

#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/loggers/sink_logger.h>

namespace polyphony::loggers {

struct CSVLoggerOptions {
  std::string save_dir;
  std::string name = "lightning_logs";
  config::Node version;
  std::string prefix;
  int flush_logs_every_n_steps = 100;

  void describe(config::Fields& f);
};

/// Lightning's CSVLogger: SAVE_DIR/NAME/version_N with metrics.csv and hparams.yaml.
class CSVLogger : public SinkLogger {
 public:
  using Options = CSVLoggerOptions;
  explicit CSVLogger(Options options) : options_(std::move(options)) {}
  std::unique_ptr<record::Sink> open(const record::RunInfo& run) override;

 private:
  Options options_;
};

}  // namespace polyphony::loggers
