#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace polyphony::record {

enum class State { kRunning, kFinished, kFailed, kInterrupted };

/// "running", "finished", "failed", "interrupted".
const char* to_string(State state);
/// nullopt for a text that names no state.
std::optional<State> parse_state(const std::string& text);

/// What is known of a run when it starts.
struct RunInfo {
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
};

/// A run as the store knows it.
struct Run : RunInfo {
  std::int64_t id = 0;
  State state = State::kRunning;  ///< kInterrupted also where the process is gone: see `died`
  bool died = false;              ///< recorded as running, but its process on this host is gone
  std::string error;
  double started = 0;              ///< seconds since 1970, UTC
  std::optional<double> ended;     ///< nullopt while running and where it died
  std::optional<double> duration;  ///< seconds
};

/// One value of one metric. NaN and infinities are kept.
struct Metric {
  std::string name;
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  double wall_time = 0;  ///< seconds since 1970, UTC
  double value = 0;
};

struct RunQuery {
  std::optional<State> state;
  std::optional<std::int64_t> limit;  ///< nullopt: all
};

enum class StoreMode {
  kCreate,    ///< made where absent; must be writable
  kExisting,  ///< an absent file is an error
};

/// The run store: one SQLite file (WAL), shared by any number of processes.
/// An object belongs to one thread at a time and does not survive a fork.
class Store {
 public:
  /// @throws IoError if the file cannot be opened or written, is damaged, is no run store, or was
  ///         written by a newer program
  explicit Store(const std::filesystem::path& path, StoreMode mode = StoreMode::kCreate);
  ~Store();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;

  /// Records a run as running. @returns its id, from 1
  std::int64_t begin(const RunInfo& info);
  /// Commits all values in one transaction: they outlive a SIGKILL once this returns.
  void log(std::int64_t run, std::span<const Metric> metrics);
  /// Records the end, its time and the duration. @throws IoError if there is no such run
  void finish(std::int64_t run, State state, const std::string& error = {});

  /// Newest first.
  std::vector<Run> runs(const RunQuery& query = {}) const;
  /// nullopt where there is no such run.
  std::optional<Run> find(std::int64_t id) const;
  /// Every value in the order logged; of one metric where a name is given.
  std::vector<Metric> metrics(std::int64_t run, const std::string& name = {}) const;
  /// The value logged last of each metric, by name.
  std::vector<Metric> final_metrics(std::int64_t run) const;

  const std::filesystem::path& path() const;

  static constexpr int kSchemaVersion = 1;

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

/// $POLYPHONY_STORE, else logs/polyphony.db under the current directory.
std::filesystem::path default_store_path();

}  // namespace polyphony::record
