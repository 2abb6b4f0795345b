#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// What a run is, as every record of it keeps it: plain values, no file format.

namespace polyphony::record {

enum class State { kRunning, kFinished, kFailed, kInterrupted };

/// "running", "finished", "failed", "interrupted".
const char* to_string(State state);
/// nullopt for a text that names no state.
std::optional<State> parse_state(const std::string& text);

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What is known of a run when it starts.
struct RunInfo {
  std::string uid;  ///< names it in whatever store its record is; "" for imported runs
  std::string name;
  std::filesystem::path directory;
  std::string host;                       ///< as host_name() gives it
  std::int64_t pid = 0;                   ///< of the process that runs it
  std::optional<std::string> git_commit;  ///< 40 hex digits; nullopt outside a repository
  bool git_dirty = false;
  std::string command;
  std::string config_yaml;  ///< the composed configuration
  std::vector<std::string> overrides;
  std::optional<std::int64_t> seed;

  std::string verb;   ///< "train", "test", "predict", "vote"; "" where unknown
  std::string group;  ///< runs that belong together, e.g. seeds of one setting
  std::string notes;
  std::vector<std::string> tags;
  std::string git_diff;    ///< of tracked files against the commit; "" where clean
  std::string git_remote;  ///< URL of `origin`, without credentials
  Pairs environment;       ///< secrets masked, sorted by name
  Pairs system;            ///< "cpu", "cores", "memory_bytes", "os", versions of libraries, …
  std::string source;      ///< "polyphony", or what an imported run was read from
  Pairs hyper_parameters;  ///< name and value as JSON, as the task logs them
  std::string model_summary;
};

/// A run as the store knows it.
struct Run : RunInfo {
  std::int64_t id = 0;
  State state = State::kRunning;  ///< kInterrupted also where the process is gone: see `died`
  bool died = false;              ///< recorded as running, but its process is gone
  std::string error;
  std::string exit_reason;         ///< one line: "finished", "SIGTERM", the error's first line, …
  double started = 0;              ///< seconds since 1970, UTC
  std::optional<double> ended;     ///< nullopt while running and where it died
  std::optional<double> duration;  ///< seconds
  std::optional<double> heartbeat;  ///< last sign of life, about one a second; seconds since 1970
};

/// One value of one metric. NaN and infinities are kept.
struct Metric {
  std::string name;
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  double wall_time = 0;  ///< seconds since 1970, UTC
  double value = 0;
};

/// A metric over a whole run.
struct MetricSummary {
  Metric last;
  double min = 0;  ///< of the values that are numbers; NaN where none is
  double max = 0;
  std::int64_t count = 0;
};

/// One leaf of the configuration under its dotted path.
struct ConfigValue {
  std::string key;
  std::string value;             ///< a string as it is, anything else as JSON
  std::optional<double> number;  ///< of ints and floats
};

/// One measurement of the machine: "cpu_percent", "rss_bytes", ….
struct SystemMetric {
  std::string name;
  double wall_time = 0;
  double value = 0;
};

struct ConsoleLine {
  std::int64_t id = 0;  ///< grows within a run; set by the store
  double wall_time = 0;
  std::string text;  ///< without line end and escape sequences
};

struct Alert {
  std::string title;
  std::string text;
  std::string level = "INFO";  ///< INFO, WARN or ERROR
  double wall_time = 0;
};

/// A file that a run made, or a figure's data.
struct Artifact {
  std::int64_t id = 0;
  /// "checkpoint", "predictions", "confusion_matrix", "roc", "pr", "calibration", "per_class",
  /// "misclassified", "file"; docs/recording.md describes the data of each.
  std::string kind;
  std::string name;            ///< unique in its run; a later one of the same name replaces it
  std::filesystem::path path;  ///< "" where there is only `data`
  std::string sha256;          ///< 64 hex digits, of the file or of `data`
  std::int64_t bytes = 0;
  double created = 0;
  std::string metadata;  ///< a JSON object: stage, step, epoch, …
  std::string data;      ///< the content of figures, JSON; "" for other files
};

}  // namespace polyphony::record
