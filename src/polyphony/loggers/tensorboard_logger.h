#pragma once

#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/loggers/sink_logger.h>

namespace polyphony::loggers {

struct TensorBoardLoggerOptions {
  std::string save_dir;
  std::optional<std::string> name = "lightning_logs";
  config::Node version;
  bool log_graph = false;
  bool default_hp_metric = true;
  std::string prefix;
  std::optional<std::string> sub_dir;

  void describe(config::Fields& f);
};

/// Lightning's TensorBoardLogger: an event file in SAVE_DIR/NAME/version_N[/SUB_DIR].
class TensorBoardLogger : public SinkLogger {
 public:
  using Options = TensorBoardLoggerOptions;
  explicit TensorBoardLogger(Options options) : options_(std::move(options)) {}
  std::unique_ptr<record::Sink> open(const record::RunInfo& run) override;

 private:
  Options options_;
};

}  // namespace polyphony::loggers
