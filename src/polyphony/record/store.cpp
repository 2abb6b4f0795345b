#include <polyphony/record/store.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/record/host.h>
#include <polyphony/record/sqlite.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::pair<const char*, State>, 4> kStates = {
    {{"running", State::kRunning},
     {"finished", State::kFinished},
     {"failed", State::kFailed},
     {"interrupted", State::kInterrupted}}};

/// kMigrations[v] brings a file of schema version v to v + 1.
constexpr std::array<const char*, Store::kSchemaVersion> kMigrations = {R"sql(
CREATE TABLE runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, directory TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('running', 'finished', 'failed', 'interrupted')),
  error TEXT NOT NULL DEFAULT '', host TEXT NOT NULL, pid INTEGER NOT NULL, git_commit TEXT,
  git_dirty INTEGER NOT NULL, command TEXT NOT NULL, config_yaml TEXT NOT NULL,
  overrides TEXT NOT NULL, seed INTEGER, started REAL NOT NULL, ended REAL, duration REAL);
-- SQLite has no NaN: it is stored as NULL
CREATE TABLE metrics(
  run_id INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL, step INTEGER NOT NULL,
  epoch INTEGER NOT NULL, wall_time REAL NOT NULL, value REAL);
CREATE INDEX metrics_of_run ON metrics(run_id, name);
)sql"};

constexpr const char* kRunColumns =
    "id, name, directory, state, error, host, pid, git_commit, git_dirty, command, config_yaml, "
    "overrides, seed, started, ended, duration";

}  // namespace

struct Store::Database {
  fs::path path;
  sqlite3* handle = nullptr;
  std::unique_ptr<Statement> begin_log, insert_metric, commit;

  ~Database() {
    begin_log.reset();
    insert_metric.reset();
    commit.reset();
    sqlite3_close(handle);
  }
  void execute(const std::string& sql) const {
    const int code = sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail_sqlite(handle, code, path);
  }
  void roll_back() const {
    if (sqlite3_get_autocommit(handle) == 0) {
      sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
    }
  }
  std::int64_t number(const std::string& sql) const {
    Statement statement(handle, path, sql);
    return statement.step() ? statement.integer(0) : 0;
  }
  void open(StoreMode mode);
  void migrate() const;
};

void Store::Database::open(StoreMode mode) {
  std::error_code error;
  if (mode == StoreMode::kExisting && !fs::exists(path, error)) {
    throw IoError(fmt::format("{}: no run store here", path.string()),
                  "start in the directory that the runs were started in, or name the file with "
                  "--store or POLYPHONY_STORE; the first run makes it");
  }
  if (mode == StoreMode::kCreate && path.has_parent_path()) {
    fs::create_directories(path.parent_path(), error);
    if (error) {
      throw IoError(fmt::format("{}: cannot make the run store's directory: {}",
                                path.parent_path().string(), error.message()),
                    "check the permissions, or name another file with POLYPHONY_STORE");
    }
  }
  const int create = mode == StoreMode::kCreate ? SQLITE_OPEN_CREATE : 0;
  const int code = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | create, nullptr);
  if (code != SQLITE_OK) fail_sqlite(handle, code, path);
  sqlite3_busy_timeout(handle, 10'000);
  if (mode == StoreMode::kCreate) {
    if (sqlite3_db_readonly(handle, "main") == 1) {
      throw IoError(fmt::format("{}: run store: the file cannot be written to", path.string()),
                    "check its permissions, or name another file with POLYPHONY_STORE");
    }
    execute("PRAGMA journal_mode=WAL");
  }
  execute("PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON");
  migrate();
}

void Store::Database::migrate() const {
  const auto version = [this] { return number("PRAGMA user_version"); };
  if (version() < kSchemaVersion) {
    execute("BEGIN IMMEDIATE");
    try {
      // Read again: another process may have migrated while this one waited.
      if (version() == 0 && number("SELECT count(*) FROM sqlite_master") > 0) {
        throw IoError(fmt::format("{}: an SQLite file, but no run store", path.string()),
                      "name another file with POLYPHONY_STORE");
      }
      for (std::int64_t v = version(); v < kSchemaVersion; ++v) {
        execute(kMigrations.at(static_cast<std::size_t>(v)));
        execute(fmt::format("PRAGMA user_version={}", v + 1));
      }
      execute("COMMIT");
    } catch (...) {
      roll_back();
      throw;
    }
  }
  if (version() > kSchemaVersion) {
    throw IoError(fmt::format("{}: run store of schema version {}, this program knows up to {}",
                              path.string(), version(), kSchemaVersion),
                  "it was written by a newer polyphony: update this one, or name another file with "
                  "POLYPHONY_STORE");
  }
}

namespace {

Run read_run(Statement& row, const std::string& this_host) {
  Run run;
  run.id = row.integer(0);
  run.name = row.text(1);
  run.directory = row.text(2);
  run.state = parse_state(row.text(3)).value_or(State::kFailed);
  run.error = row.text(4);
  run.host = row.text(5);
  run.pid = row.integer(6);
  if (!row.is_null(7)) run.git_commit = row.text(7);
  run.git_dirty = row.integer(8) != 0;
  run.command = row.text(9);
  run.config_yaml = row.text(10);
  const auto overrides = nlohmann::json::parse(row.text(11), nullptr, false);
  if (overrides.is_array()) {
    for (const auto& item : overrides) {
      if (item.is_string()) run.overrides.push_back(item.get<std::string>());
    }
  }
  if (!row.is_null(12)) run.seed = row.integer(12);
  run.started = row.real(13);
  if (!row.is_null(14)) run.ended = row.real(14);
  if (!row.is_null(15)) run.duration = row.real(15);
  if (run.state == State::kRunning && run.host == this_host &&
      !process_alive(run.pid, run.started)) {
    run.state = State::kInterrupted;
    run.died = true;
  }
  return run;
}

Metric read_metric(Statement& row) {
  return {row.text(0), row.integer(1), row.integer(2), row.real(3),
          row.is_null(4) ? std::numeric_limits<double>::quiet_NaN() : row.real(4)};
}

std::vector<Metric> read_metrics(Statement& statement) {
  std::vector<Metric> metrics;
  while (statement.step()) metrics.push_back(read_metric(statement));
  return metrics;
}

}  // namespace

const char* to_string(State state) { return kStates.at(static_cast<std::size_t>(state)).first; }

std::optional<State> parse_state(const std::string& text) {
  for (const auto& [name, state] : kStates) {
    if (text == name) return state;
  }
  return std::nullopt;
}

Store::Store(const fs::path& path, StoreMode mode) : database_(std::make_unique<Database>()) {
  database_->path = path;
  database_->open(mode);
}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

const fs::path& Store::path() const { return database_->path; }

std::int64_t Store::begin(const RunInfo& info) {
  Statement insert(database_->handle, database_->path,
                   "INSERT INTO runs(name, directory, state, host, pid, git_commit, git_dirty, "
                   "command, config_yaml, overrides, seed, started) "
                   "VALUES(?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const nlohmann::json overrides = info.overrides;
  insert.bind(info.name).bind(info.directory.string()).bind(info.host).bind(info.pid);
  insert.bind(info.git_commit).bind(std::int64_t{info.git_dirty}).bind(info.command);
  insert.bind(info.config_yaml);
  insert.bind(overrides.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  insert.bind(info.seed).bind(now());
  insert.run();
  return sqlite3_last_insert_rowid(database_->handle);
}

void Store::log(std::int64_t run, std::span<const Metric> metrics) {
  if (metrics.empty()) return;
  Database& db = *database_;
  if (!db.commit) {
    db.begin_log = std::make_unique<Statement>(db.handle, db.path, "BEGIN IMMEDIATE");
    db.insert_metric = std::make_unique<Statement>(db.handle, db.path,
                                                   "INSERT INTO metrics(run_id, name, step, epoch, "
                                                   "wall_time, value) VALUES(?, ?, ?, ?, ?, ?)");
    db.commit = std::make_unique<Statement>(db.handle, db.path, "COMMIT");
  }
  try {
    db.begin_log->run();
    for (const Metric& metric : metrics) {
      // SQLite turns a bound NaN into NULL.
      db.insert_metric->bind(run).bind(metric.name).bind(metric.step).bind(metric.epoch);
      db.insert_metric->bind(metric.wall_time).bind(metric.value).run();
    }
    db.commit->run();
  } catch (...) {
    db.insert_metric->reset();
    db.roll_back();
    throw;
  }
}

void Store::finish(std::int64_t run, State state, const std::string& error) {
  Statement update(database_->handle, database_->path,
                   "UPDATE runs SET state = ?1, error = ?2, ended = ?3, duration = ?3 - started "
                   "WHERE id = ?4");
  update.bind(std::string(to_string(state))).bind(error).bind(now()).bind(run).run();
  if (sqlite3_changes(database_->handle) == 0) {
    throw IoError(fmt::format("{}: run store: there is no run {}", path().string(), run),
                  "it was removed while it ran");
  }
}

std::vector<Run> Store::runs(const RunQuery& query) const {
  Statement select(database_->handle, database_->path,
                   fmt::format("SELECT {} FROM runs ORDER BY id DESC", kRunColumns));
  const std::string host = host_name();
  std::vector<Run> runs;
  const auto full = [&] {
    return query.limit && static_cast<std::int64_t>(runs.size()) >= *query.limit;
  };
  while (!full() && select.step()) {
    Run run = read_run(select, host);
    if (!query.state || run.state == *query.state) runs.push_back(std::move(run));
  }
  return runs;
}

std::optional<Run> Store::find(std::int64_t id) const {
  Statement select(database_->handle, database_->path,
                   fmt::format("SELECT {} FROM runs WHERE id = ?", kRunColumns));
  select.bind(id);
  if (!select.step()) return std::nullopt;
  return read_run(select, host_name());
}

std::vector<Metric> Store::metrics(std::int64_t run, const std::string& name) const {
  Statement select(database_->handle, database_->path,
                   "SELECT name, step, epoch, wall_time, value FROM metrics "
                   "WHERE run_id = ?1 AND (?2 = '' OR name = ?2) ORDER BY rowid");
  select.bind(run).bind(name);
  return read_metrics(select);
}

std::vector<Metric> Store::final_metrics(std::int64_t run) const {
  Statement select(database_->handle, database_->path,
                   "SELECT name, step, epoch, wall_time, value FROM metrics WHERE rowid IN "
                   "(SELECT max(rowid) FROM metrics WHERE run_id = ? GROUP BY name) ORDER BY name");
  select.bind(run);
  return read_metrics(select);
}

fs::path default_store_path() {
  const char* named = std::getenv("POLYPHONY_STORE");
  if (named != nullptr && *named != '\0') return named;
  return fs::path("logs") / "polyphony.db";
}

}  // namespace polyphony::record
