#include <polyphony/job/log.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using config::Node;

constexpr std::array<std::pair<std::string_view, Level>, 7> kLevels{{{"DEBUG", Level::kDebug},
                                                                     {"INFO", Level::kInfo},
                                                                     {"WARNING", Level::kWarning},
                                                                     {"WARN", Level::kWarning},
                                                                     {"ERROR", Level::kError},
                                                                     {"CRITICAL", Level::kCritical},
                                                                     {"FATAL", Level::kCritical}}};

std::string_view level_name(Level level) {
  for (const auto& [name, value] : kLevels) {
    if (value == level) return name;
  }
  return "NOTSET";
}

int read_level(const Node* node, const std::string& where) {
  if (node == nullptr || node->is_null()) return 0;
  if (node->kind() == Node::Kind::kInt) return static_cast<int>(node->as_int());
  const std::string text = config::python_str(*node);
  if (text == "NOTSET") return 0;
  for (const auto& [name, level] : kLevels) {
    if (name == text) return static_cast<int>(level);
  }
  throw ConfigError(fmt::format("{}.level: '{}' is no logging level", where, text),
                    "write DEBUG, INFO, WARNING, ERROR or CRITICAL");
}

std::string text_of(const Node& mapping, const char* key, const char* otherwise) {
  const Node* node = mapping.find(key);
  return node == nullptr || node->is_null() ? otherwise : config::python_str(*node);
}

/// Python's default: "2024-01-31 12:00:00,123", local time.
std::string time_text(const std::string& format) {
  using std::chrono::system_clock;
  const auto now = system_clock::now();
  const std::time_t seconds = system_clock::to_time_t(now);
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 256> buffer{};
  const char* pattern = format.empty() ? "%Y-%m-%d %H:%M:%S" : format.c_str();
  std::string text(buffer.data(), std::strftime(buffer.data(), buffer.size(), pattern, &local));
  if (!format.empty()) return text;
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return text + fmt::format(",{:03}", milliseconds);
}

/// Pads as "%-8s" or "%8s" asks.
std::string padded(const std::string& text, const std::string& width) {
  if (width.empty()) return text;
  const bool left = width[0] == '-';
  const auto columns = static_cast<std::size_t>(std::atoi(width.c_str() + (left ? 1 : 0)));
  return left ? fmt::format("{:<{}}", text, columns) : fmt::format("{:>{}}", text, columns);
}

}  // namespace

/// Where messages go, and how they are written.
struct Log::Handler {
  std::string format = "%(message)s";
  std::string date_format;
  int level = 0;
  FILE* stream = nullptr;  ///< standard output or error; null for a file
  fs::path path;
  bool truncate = false;
  FILE* file = nullptr;

  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() {
    if (file != nullptr) std::fclose(file);
  }

  void open() {
    if (file != nullptr || path.empty()) return;
    file = std::fopen(path.c_str(), truncate ? "w" : "a");
    if (file == nullptr) {
      throw IoError(fmt::format("{}: cannot open the log file", path.string()),
                    "check that its directory exists and can be written to, or set "
                    "hydra/job_logging=stdout");
    }
  }

  std::string text(Level level_of, const std::string& logger, const std::string& message) const {
    std::string out;
    for (std::size_t i = 0; i < format.size();) {
      const std::size_t end = format.compare(i, 2, "%(") == 0 ? format.find(')', i) : format.npos;
      if (end == format.npos) {
        if (format.compare(i, 2, "%%") == 0) ++i;
        out += format[i++];
        continue;
      }
      const std::string name = format.substr(i + 2, end - i - 2);
      const std::size_t type = format.find_first_not_of("-0123456789", end + 1);
      const std::string width = format.substr(end + 1, type - end - 1);
      const std::string value = name == "asctime"     ? time_text(date_format)
                                : name == "name"      ? logger
                                : name == "levelname" ? std::string(level_name(level_of))
                                : name == "levelno" ? fmt::format("{}", static_cast<int>(level_of))
                                : name == "process" ? fmt::format("{}", getpid())
                                : name == "message" ? message
                                                    : logger;
      out += padded(value, width);
      i = type == format.npos ? format.size() : type + 1;
    }
    return out;
  }
};

Log::Log() { loggers_[""].level = static_cast<int>(Level::kWarning); }
Log::~Log() = default;

void Log::set_handlers(const Node& mapping) {
  handlers_.clear();
  const Node* formatters = mapping.find("formatters");
  const Node* handlers = mapping.find("handlers");
  if (handlers == nullptr) return;
  for (const auto& [key, settings] : handlers->entries()) {
    const std::string name = config::python_str(key);
    const std::string where = "handlers." + name;
    const std::string type = text_of(settings, "class", "");
    auto handler = std::make_unique<Handler>();
    handler->level = read_level(settings.find("level"), where);
    if (type == "logging.StreamHandler") {
      const std::string stream = text_of(settings, "stream", "ext://sys.stderr");
      if (stream != "ext://sys.stdout" && stream != "ext://sys.stderr") {
        throw ConfigError(fmt::format("{}.stream: no such stream: '{}'", where, stream),
                          "write ext://sys.stdout or ext://sys.stderr");
      }
      handler->stream = stream.ends_with("stdout") ? stdout : stderr;
    } else if (type == "logging.FileHandler") {
      const std::string file = text_of(settings, "filename", "");
      if (file.empty()) throw ConfigError(where + ".filename: missing", "give the log file's path");
      handler->path = fs::absolute(file);
      handler->truncate = text_of(settings, "mode", "a").starts_with("w");
      const Node* delay = settings.find("delay");
      if (delay == nullptr || !delay->as_bool()) handler->open();
    } else if (type != "logging.NullHandler") {
      throw ConfigError(fmt::format("{}.class: no such log handler: '{}'", where, type),
                        "write logging.StreamHandler, logging.FileHandler or logging.NullHandler");
    }
    const std::string formatter = text_of(settings, "formatter", "");
    if (!formatter.empty()) {
      const Node* found = formatters == nullptr ? nullptr : formatters->find(formatter);
      if (found == nullptr) {
        throw ConfigError(fmt::format("{}.formatter: no formatter is named '{}'", where, formatter),
                          "name one of those under `formatters`");
      }
      handler->format = text_of(*found, "format", "%(message)s");
      handler->date_format = text_of(*found, "datefmt", "");
    }
    handlers_[name] = std::move(handler);
  }
}

Log::Logger Log::read_logger(const Node& mapping, const std::string& where) const {
  Logger logger;
  logger.level = read_level(mapping.find("level"), where);
  const Node* propagate = mapping.find("propagate");
  if (propagate != nullptr && propagate->kind() == Node::Kind::kBool) {
    logger.propagate = propagate->as_bool();
  }
  const Node* names = mapping.find("handlers");
  for (const Node& name : names == nullptr ? std::vector<Node>{} : names->items()) {
    logger.handlers.push_back(config::python_str(name));
    if (!handlers_.contains(logger.handlers.back())) {
      throw ConfigError(
          fmt::format("{}.handlers: no handler is named '{}'", where, logger.handlers.back()),
          "name one of those under `handlers`");
    }
  }
  return logger;
}

void Log::configure(const Node& mapping, const Node& verbose) {
  const Node* root = mapping.find("root");
  if (mapping.is_map() && root != nullptr && root->is_map()) {
    set_handlers(mapping);
    const int old_level = loggers_[""].level;
    loggers_.clear();
    loggers_[""] = read_logger(*root, "root");
    if (loggers_[""].level == 0) loggers_[""].level = old_level;
    const Node* named = mapping.find("loggers");
    if (named != nullptr) {
      for (const auto& [key, settings] : named->entries()) {
        const std::string name = config::python_str(key);
        loggers_[name] = read_logger(settings, "loggers." + name);
      }
    }
    const Node* disable = mapping.find("disable_existing_loggers");
    others_disabled_ = disable == nullptr || disable->as_bool();
  }
  const auto debug = [&](const std::string& name) {
    loggers_[name].level = static_cast<int>(Level::kDebug);
  };
  if (verbose.kind() == Node::Kind::kBool && verbose.as_bool()) debug("");
  if (verbose.is_string()) debug(verbose.as_string());
  for (const Node& name : verbose.items()) debug(config::python_str(name));
}

const Log::Logger* Log::nearest(std::string_view name) const {
  while (!name.empty()) {
    const auto found = loggers_.find(name);
    if (found != loggers_.end() && found->second.level != 0) return &found->second;
    const std::size_t dot = name.rfind('.');
    name = name.substr(0, dot == name.npos ? 0 : dot);
  }
  return &loggers_.find("")->second;
}

bool Log::enabled(Level level, const std::string& logger) const {
  if (others_disabled_ && !loggers_.contains(logger)) return false;
  return static_cast<int>(level) >= nearest(logger)->level;
}

void Log::emit(Handler& handler, Level level, const std::string& logger,
               const std::string& message) {
  if (static_cast<int>(level) < handler.level) return;
  handler.open();
  FILE* out = handler.stream != nullptr ? handler.stream : handler.file;
  if (out == nullptr) return;
  fmt::print(out, "{}\n", handler.text(level, logger, message));
  std::fflush(out);
}

void Log::write(Level level, const std::string& logger, const std::string& message) {
  if (!enabled(level, logger)) return;
  bool reached = false;
  std::string_view name = logger;
  while (true) {
    const auto found = loggers_.find(name);
    if (found != loggers_.end()) {
      for (const std::string& handler : found->second.handlers) {
        emit(*handlers_.at(handler), level, logger, message);
        reached = true;
      }
      if (!found->second.propagate) break;
    }
    if (name.empty()) break;
    const std::size_t dot = name.rfind('.');
    name = name.substr(0, dot == name.npos ? 0 : dot);
  }
  if (!reached && level >= Level::kWarning) note("{}", message);
}

}  // namespace polyphony::job
