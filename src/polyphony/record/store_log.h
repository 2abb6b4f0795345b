#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <polyphony/base/directory_lock.h>
#include <polyphony/record/formats/append_table.h>
#include <polyphony/record/sink.h>
#include <polyphony/record/store.h>
#include <polyphony/record/store_journal.h>

namespace polyphony::record {

struct StoreLogOptions {
  double patience = 2;        ///< seconds to wait for a lock while the run goes on
  double last_patience = 10;  ///< the same at its end
  double first_retry = 0.5;   ///< seconds until the store is tried again; each time twice as long
  double longest_retry = 30;
  std::int64_t batches = 0;  ///< that the run's row has already, of a run that goes on
};

/// A run's record in the store, from its begin to its end.
///
/// Where the store cannot be written (locked, full, read-only, damaged, deleted or moved), the run
/// goes on, also from its very beginning. What is not in is kept in a StoreJournal in the run's
/// directory and brought in as soon as the store takes it, each batch once. A store whose file is
/// gone is not made anew by a run that has seen it: all that it held of the run is kept beside, and
/// whoever reads its journal decides where it goes.
class StoreLog : public Sink {
 public:
  /// Begins the run's row. @param info  gets a uid where it has none
  StoreLog(const std::filesystem::path& store, RunInfo info, StoreLogOptions options = {});
  ~StoreLog() override;
  std::string name() const override { return "the run store"; }
  void log(const Row& row) override;
  void log_hyper_parameters(const config::Node& values) override;
  void log_model_summary(const std::string& text) override { batch_.model_summary = text; }
  void log_system(std::span<const SystemMetric> metrics) override;
  void log_console(std::span<const ConsoleLine> lines) override;
  void log_alert(const Alert& alert) override { batch_.alerts.push_back(alert); }
  void log_artifact(const Artifact& artifact) override { batch_.artifacts.push_back(artifact); }
  /// One transaction for all that was logged since. @throws IoError where neither the store nor the
  /// run's directory can be written; it is kept in memory then
  void flush() override;
  /// Records the end, too; tries the store a last time where it could not be written.
  void finish(State state, const std::string& error) override;

  const RunInfo& info() const { return info_; }
  /// The run's number; nullopt as long as it has none.
  std::optional<std::int64_t> run() const { return run_; }
  /// Whether all that was flushed is in the store.
  bool recorded() const { return store_ != nullptr && waiting_.empty(); }
  /// Where what is not in the store is kept, and why it is not; both empty where all is.
  std::filesystem::path kept() const { return journal_ ? journal_->path() : ""; }
  const std::string& reason() const { return reason_; }

 private:
  using Clock = std::chrono::steady_clock;

  void seal();
  void attempt();
  void write_waiting();
  void leave_moved_store();
  void lose_store(const std::string& reason);
  void try_store(double patience);
  void keep();

  std::filesystem::path path_;
  RunInfo info_;
  StoreLogOptions options_;
  double started_;
  std::unique_ptr<Store> store_;  ///< null while it cannot be written
  bool seen_ = false;             ///< it could be opened once
  std::optional<std::int64_t> run_;
  StoreBatch batch_;                ///< what is logged now
  std::deque<StoreBatch> waiting_;  ///< numbered, neither in the store nor in the journal
  std::int64_t batches_ = 0;        ///< numbers given
  std::optional<StoreJournal> journal_;
  std::string reason_;
  Clock::time_point next_try_;
  double retry_ = 0;  ///< seconds
  bool ended_ = false;
};

/// The metrics.csv in a run's own directory: epoch, step, then one column a metric, in order of
/// appearance. Where another run that is alive writes that file, the table is metrics-UID.csv.
class RunCsvLog : public Sink {
 public:
  /// @throws DataError where a metrics.csv stands there that is no such table
  RunCsvLog(const std::filesystem::path& directory, const std::string& uid);
  std::string name() const override { return table_.path().string(); }
  void log(const Row& row) override;
  void flush() override { table_.flush(); }
  void finish(State, const std::string&) override { flush(); }
  const std::filesystem::path& path() const { return table_.path(); }

 private:
  std::optional<DirectoryLock> lock_;
  AppendTable table_;
};

}  // namespace polyphony::record
