#include <polyphony/record/store_log.h>

#include <algorithm>
#include <system_error>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/record/host.h>
#include <polyphony/record/hyper_parameters.h>

namespace polyphony::record {
namespace fs = std::filesystem;

StoreLog::StoreLog(const fs::path& store, RunInfo info, StoreLogOptions options)
    : path_(fs::absolute(store)),
      info_(std::move(info)),
      options_(options),
      started_(now()),
      batches_(options_.batches) {
  if (info_.uid.empty()) info_.uid = new_run_uid();
  try_store(options_.patience);
}

StoreLog::~StoreLog() {
  if (store_ && store_->moved()) store_->detach();
}

void StoreLog::log(const Row& row) {
  for (const auto& [name, value] : row.values) {
    batch_.metrics.push_back({name, row.step, row.epoch, row.time, value});
  }
}

void StoreLog::log_hyper_parameters(const config::Node& values) {
  Pairs pairs;
  for (const auto& [name, value] : flat_hyper_parameters(values)) {
    pairs.emplace_back(name, config::to_json(value));
  }
  batch_.hyper_parameters = std::move(pairs);
}

void StoreLog::log_system(std::span<const SystemMetric> metrics) {
  batch_.system.insert(batch_.system.end(), metrics.begin(), metrics.end());
  batch_.heartbeat = now();
}

void StoreLog::log_console(std::span<const ConsoleLine> lines) {
  batch_.console.insert(batch_.console.end(), lines.begin(), lines.end());
}

/// What is numbered never changes: a batch of which it is unknown whether it is in can be written
/// again.
void StoreLog::seal() {
  if (batch_.empty()) return;
  batch_.first = batch_.last = ++batches_;
  waiting_.push_back(std::move(batch_));
  batch_ = {};
}

void StoreLog::write_waiting() {
  while (!waiting_.empty()) {
    store_->write(*run_, waiting_.front());
    waiting_.pop_front();
  }
}

/// The file is not where it was. What it holds of this run goes with what waits.
void StoreLog::leave_moved_store() {
  try {
    if (const auto found = store_->find(*run_)) info_ = *found;
    StoreBatch all = store_->all_of(*run_);
    if (all.last > 0) waiting_.push_front(std::move(all));
  } catch (const IoError& error) {
    warn("what it held of this run cannot be read any more: {}", error.what());
  }
  store_->detach();
}

void StoreLog::lose_store(const std::string& reason) {
  store_.reset();
  if (reason_.empty()) {
    warn(
        "the run store cannot be written; the run goes on, its record is kept in {} "
        "and brought in as soon as it can be: {}",
        info_.directory.string(), reason);
  }
  reason_ = reason;
  retry_ = retry_ == 0 ? options_.first_retry : std::min(2 * retry_, options_.longest_retry);
  next_try_ = Clock::now() +
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(retry_));
}

/// Opens the store and writes all that it has not: the journal, then what waits.
void StoreLog::try_store(double patience) {
  try {
    store_ =
        std::make_unique<Store>(path_, seen_ ? StoreMode::kExisting : StoreMode::kCreate, patience);
    run_ = store_->begin(info_, started_);
    seen_ = true;
    if (journal_) write_journal(*store_, journal_->path());
    write_waiting();
  } catch (const Error& error) {
    lose_store(error.what());
    return;
  }
  if (journal_) journal_->remove();
  journal_.reset();
  if (!reason_.empty()) warn("the run store is written again: run {}", *run_);
  reason_.clear();
  retry_ = 0;
}

void StoreLog::keep() {
  if (waiting_.empty()) return;
  if (!journal_) journal_.emplace(path_, info_, started_);
  while (!waiting_.empty()) {
    journal_->append(waiting_.front());
    waiting_.pop_front();
  }
}

/// Writes what is logged into the store, if it can be written now.
void StoreLog::attempt() {
  seal();
  if (store_) {
    try {
      write_waiting();
      if (!store_->moved()) return;
      leave_moved_store();
      lose_store(fmt::format("{}: run store: the file is no longer there: it was deleted or moved",
                             path_.string()));
    } catch (const IoError& error) {
      lose_store(error.what());
    }
  } else if (Clock::now() >= next_try_) {
    try_store(options_.patience);
  }
}

void StoreLog::flush() {
  attempt();
  if (!store_) keep();
}

void StoreLog::finish(State state, const std::string& error) {
  if (!ended_) batch_.end = RunEnd{state, error, now()};
  ended_ = true;
  attempt();
  if (!store_) try_store(options_.last_patience);
  if (!store_) keep();
}

RunCsvLog::RunCsvLog(const fs::path& directory, const std::string& uid)
    : lock_(DirectoryLock::try_lock(directory)),
      table_(directory / (lock_ ? "metrics.csv" : "metrics-" + uid + ".csv"), "\n",
             {"epoch", "step"}) {
  if (!lock_) {
    warn("another run writes to {} now: this one's metrics go to {}",
         (directory / "metrics.csv").string(), path().filename().string());
  }
  const auto& header = table_.header();
  if (header.size() < 2 || header[0] != "epoch" || header[1] != "step") {
    throw DataError(
        fmt::format("{}: no metrics table: it does not begin with epoch,step", path().string()),
        "move the file aside");
  }
}

void RunCsvLog::log(const Row& row) {
  AppendTable::Cells cells = {{"epoch", std::to_string(row.epoch)},
                              {"step", std::to_string(row.step)}};
  for (const auto& [name, value] : row.values) cells.emplace_back(name, fmt::format("{}", value));
  table_.add(cells);
}

}  // namespace polyphony::record
