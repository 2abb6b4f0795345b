#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <polyphony/record/run.h>
#include <polyphony/record/store_batch.h>

namespace polyphony::record {

struct RunQuery {
  std::optional<State> state;
  std::optional<std::int64_t> limit;  ///< nullopt: all
};

enum class StoreMode {
  kCreate,    ///< made where absent; must be writable
  kExisting,  ///< an absent file is an error; must be writable
  kRead,      ///< an absent file is an error; nothing is written where that is not allowed
};

/// The run store: one SQLite file (WAL), shared by any number of processes.
/// An object belongs to one thread at a time and does not survive a fork.
class Store {
 public:
  /// @throws IoError if the file cannot be opened or written, is damaged, is no run store, or was
  ///         written by a newer program
  /// @param patience  seconds to wait for another process that holds it locked
  explicit Store(const std::filesystem::path& path, StoreMode mode = StoreMode::kCreate,
                 double patience = 10);
  ~Store();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;

  // Writing. What a call has written outlives a SIGKILL once it returns; each is one transaction.
  /// Records a run as running, with its tags and the leaves of its configuration; one whose uid is
  /// there already is left as it is.
  /// @param started  seconds since 1970; now where absent
  /// @return its id, from 1
  std::int64_t begin(const RunInfo& info, std::optional<double> started = std::nullopt);
  /// Records a batch, once: one whose number is in already is left out. One that stands for several
  /// of which only the first are in replaces all that the run has.
  /// @return whether it was new
  /// @throws IoError if there is no such run
  bool write(std::int64_t run, const StoreBatch& batch);
  /// The number of the newest batch that is in; 0 where there is none.
  std::int64_t batches(std::int64_t run) const;
  /// All that is recorded of a run, as one batch that stands for all of them.
  StoreBatch all_of(std::int64_t run) const;
  /// Records that a run which has ended goes on, in the process and with the options of `info`; its
  /// name, command, tags and start stay. @throws IoError if there is no such run
  void resume(std::int64_t run, const RunInfo& info);
  /// Keeps the first `count` values of a run's metrics, in the order logged, and forgets the
  /// others: a run that goes on from a checkpoint logs them again.
  void rewind(std::int64_t run, std::int64_t count);
  void log(std::int64_t run, std::span<const Metric> metrics);
  void log_system(std::int64_t run, std::span<const SystemMetric> metrics);
  void log_console(std::int64_t run, std::span<const ConsoleLine> lines);
  void log_alert(std::int64_t run, const Alert& alert);
  void set_hyper_parameters(std::int64_t run, const Pairs& values);
  void set_model_summary(std::int64_t run, const std::string& text);
  /// Replaces the artifact of the same name.
  void add_artifact(std::int64_t run, const Artifact& artifact);
  /// Says that the run is alive.
  void heartbeat(std::int64_t run, double time);
  /// Records the end, its time (now where absent) and the duration.
  /// @param error  what went wrong, whole
  /// @throws IoError if there is no such run
  void finish(std::int64_t run, State state, const std::string& error = {},
              const std::string& exit_reason = {}, std::optional<double> time = std::nullopt);
  /// The same with the times that an imported run had.
  void set_times(std::int64_t run, double started, std::optional<double> ended);

  // What a user changes afterwards. @throws IoError if there is no such run
  void add_tag(std::int64_t run, const std::string& tag);
  void remove_tag(std::int64_t run, const std::string& tag);
  void set_group(std::int64_t run, const std::string& group);
  void set_notes(std::int64_t run, const std::string& notes);
  /// The run and everything recorded of it; its directory stays.
  void remove(std::int64_t run);

  // Reading.
  /// Newest first. Diff, environment, system and model summary are left out: find() has them.
  std::vector<Run> runs(const RunQuery& query = {}) const;
  /// The newest run whose files are in a directory, by its path as recorded; nullopt: none.
  std::optional<Run> find_by_directory(const std::filesystem::path& directory) const;
  /// nullopt where there is no such run.
  std::optional<Run> find(std::int64_t id) const;
  /// Every value in the order logged; of one metric where a name is given.
  std::vector<Metric> metrics(std::int64_t run, const std::string& name = {}) const;
  /// The value logged last of each metric, by name.
  std::vector<Metric> final_metrics(std::int64_t run) const;
  /// The same with extremes and count.
  std::vector<MetricSummary> summaries(std::int64_t run) const;
  /// By key.
  std::vector<ConfigValue> config_values(std::int64_t run) const;
  /// In the order measured; of one name where given.
  std::vector<SystemMetric> system_metrics(std::int64_t run, const std::string& name = {}) const;
  /// Lines with an id above `after`.
  std::vector<ConsoleLine> console(std::int64_t run, std::int64_t after = 0) const;
  std::vector<Alert> alerts(std::int64_t run) const;
  /// In the order added; of one kind where given.
  std::vector<Artifact> artifacts(std::int64_t run, const std::string& kind = {}) const;

  const std::filesystem::path& path() const;
  /// A store that may only be read is read as it was when it was opened, unless its owner writes to
  /// it at that time: opens it again where it has changed since. @return whether it has
  bool refresh();
  /// Whether the file is no longer where it was opened: deleted, moved or replaced.
  bool moved() const;
  /// What is recorded goes into the file itself, wherever it is now, and closing leaves the files
  /// at its old path alone, which may be another store's.
  void detach();
  /// SQLite's connection, for queries of modules that read what is not offered above (tables:
  /// docs/recording.md).
  struct Database;
  Database& database() const { return *database_; }

  static constexpr int kSchemaVersion = 3;

 private:
  void require_run(std::int64_t run) const;
  void clear(std::int64_t run);

  std::unique_ptr<Database> database_;
};

/// $POLYPHONY_STORE, else logs/polyphony.db under the current directory.
std::filesystem::path default_store_path();

}  // namespace polyphony::record
