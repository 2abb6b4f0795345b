#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::job {

/// Python's logging levels.
enum class Level { kDebug = 10, kInfo = 20, kWarning = 30, kError = 40, kCritical = 50 };

/// What Python's logging does for a run: handlers and levels as a `logging.config.dictConfig`
/// mapping says (`hydra.job_logging`, `hydra.hydra_logging`).
class Log {
 public:
  Log();
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Applies a mapping without interpolations; `root: null` leaves all as it is.
  /// Handlers are logging.StreamHandler, logging.FileHandler and logging.NullHandler.
  /// @param verbose  `hydra.verbose`: true, a logger's name, or a list of names, set to debug
  /// @throws ConfigError naming the key for an unknown handler, level or formatter
  void configure(const config::Node& mapping, const config::Node& verbose);

  /// Writes a message as a logger; "hydra.core" also counts as "hydra".
  void write(Level level, const std::string& logger, const std::string& message);
  void info(const std::string& logger, const std::string& message) {
    write(Level::kInfo, logger, message);
  }
  bool enabled(Level level, const std::string& logger) const;

 private:
  struct Handler;
  struct Logger {
    int level = 0;  ///< 0: the parent's
    bool propagate = true;
    std::vector<std::string> handlers;
  };

  const Logger* nearest(std::string_view name) const;
  void emit(Handler& handler, Level level, const std::string& logger, const std::string& message);
  void set_handlers(const config::Node& mapping);
  Logger read_logger(const config::Node& mapping, const std::string& where) const;

  std::map<std::string, std::unique_ptr<Handler>> handlers_;
  std::map<std::string, Logger, std::less<>> loggers_;  ///< "" is the root
  bool others_disabled_ = false;                        ///< disable_existing_loggers
};

}  // namespace polyphony::job
