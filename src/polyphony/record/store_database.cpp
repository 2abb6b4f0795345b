#include <polyphony/record/store_database.h>

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdlib>

#include <fmt/format.h>
#include <sqlite3.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/record/config_leaves.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

/// kMigrations[v] brings a file of schema version v to v + 1.
constexpr std::array<const char*, Store::kSchemaVersion> kMigrations = {
    R"sql(
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
)sql",
    R"sql(
ALTER TABLE runs ADD COLUMN verb TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN group_name TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN notes TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN exit_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN heartbeat REAL;
ALTER TABLE runs ADD COLUMN git_diff TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN git_remote TEXT NOT NULL DEFAULT '';
-- JSON objects of strings
ALTER TABLE runs ADD COLUMN environment TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN system TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN hyper_parameters TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN model_summary TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN source TEXT NOT NULL DEFAULT 'polyphony';
CREATE TABLE tags(
  run_id INTEGER NOT NULL REFERENCES runs(id), tag TEXT NOT NULL,
  PRIMARY KEY(run_id, tag)) WITHOUT ROWID;
CREATE INDEX runs_of_tag ON tags(tag);
-- leaves of config_yaml; number: of ints and floats
CREATE TABLE config_values(
  run_id INTEGER NOT NULL REFERENCES runs(id), key TEXT NOT NULL, value TEXT NOT NULL, number REAL,
  PRIMARY KEY(run_id, key)) WITHOUT ROWID;
CREATE INDEX runs_of_config ON config_values(key, value);
-- one row a metric of a run: a list of 10,000 runs reads these and not every value
CREATE TABLE metric_summaries(
  run_id INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL, step INTEGER NOT NULL,
  epoch INTEGER NOT NULL, wall_time REAL NOT NULL, value REAL, min REAL, max REAL,
  count INTEGER NOT NULL, PRIMARY KEY(run_id, name)) WITHOUT ROWID;
CREATE INDEX runs_of_metric ON metric_summaries(name, value);
CREATE TABLE system_metrics(
  run_id INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL, wall_time REAL NOT NULL,
  value REAL);
CREATE INDEX system_metrics_of_run ON system_metrics(run_id, name);
CREATE TABLE console(
  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(id), wall_time REAL NOT NULL,
  text TEXT NOT NULL);
CREATE INDEX console_of_run ON console(run_id);
CREATE TABLE alerts(
  run_id INTEGER NOT NULL REFERENCES runs(id), wall_time REAL NOT NULL, level TEXT NOT NULL,
  title TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX alerts_of_run ON alerts(run_id);
-- data: the content of figures (JSON), '' for other files
CREATE TABLE artifacts(
  id INTEGER PRIMARY KEY AUTOINCREMENT, run_id INTEGER NOT NULL REFERENCES runs(id),
  kind TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL, created REAL NOT NULL, metadata TEXT NOT NULL DEFAULT '{}',
  data TEXT NOT NULL DEFAULT '', UNIQUE(run_id, name));
)sql",
    R"sql(
ALTER TABLE runs ADD COLUMN uid TEXT NOT NULL DEFAULT '';
-- the number of the newest batch of its record that is in: each is written once
ALTER TABLE runs ADD COLUMN batches INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX runs_of_uid ON runs(uid) WHERE uid <> '';
)sql"};

/// Whether SQLite can write a file: also the log and the index beside it.
bool may_write(const fs::path& path) {
  const fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
  return access(path.c_str(), W_OK) == 0 && access(directory.c_str(), W_OK) == 0;
}

/// Sizes and times of a store's file and its log.
std::string state_of(const fs::path& path) {
  std::string state;
  for (const char* suffix : {"", "-wal"}) {
    struct stat status {};
    if (stat((path.string() + suffix).c_str(), &status) != 0) continue;
    state +=
        fmt::format("{} {}.{} ", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  return state;
}

/// A path as SQLite takes it in a URI.
std::string uri_of(const fs::path& path) {
  std::string uri = "file:";
  for (const char c : fs::absolute(path).string()) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("/._-").find(c) != std::string_view::npos;
    uri += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return uri;
}

}  // namespace

Store::Database::~Database() { close(); }

void Store::Database::close() {
  insert_metric.reset();
  update_summary.reset();
  sqlite3_close(handle);
  handle = nullptr;
  if (copy_.empty()) return;
  std::error_code error;
  fs::remove_all(copy_, error);
  copy_.clear();
}

void Store::Database::execute(const std::string& sql) const {
  const int code = sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail_sqlite(handle, code, path);
}

std::int64_t Store::Database::number(const std::string& sql) const {
  Statement statement(handle, path, sql);
  return statement.step() ? statement.integer(0) : 0;
}

void Store::Database::transaction(const std::function<void()>& work) const {
  if (sqlite3_get_autocommit(handle) == 0) {
    work();
    return;
  }
  execute("BEGIN IMMEDIATE");
  try {
    work();
    execute("COMMIT");
  } catch (...) {
    if (sqlite3_get_autocommit(handle) == 0) {
      sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    throw;
  }
}

bool Store::Database::moved() const {
  int moved = 0;
  return sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
         moved != 0;
}

bool Store::Database::outdated() const { return !state_.empty() && state_ != state_of(path); }

void Store::Database::detach() {
  sqlite3_wal_checkpoint_v2(handle, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void Store::Database::connect(const std::string& name, int flags) {
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  if (code != SQLITE_OK) fail_sqlite(handle, code, path);
  sqlite3_busy_timeout(handle, static_cast<int>(patience * 1000));
}

void Store::Database::open(StoreMode mode) {
  std::error_code error;
  if (mode != StoreMode::kCreate && !fs::exists(path, error)) {
    throw IoError(fmt::format("{}: no run store here", path.string()),
                  "start in the directory that the runs were started in, or name the file with "
                  "--store or POLYPHONY_STORE; the first run makes it");
  }
  try {
    if (mode == StoreMode::kRead && !may_write(path)) {
      open_for_reading();
    } else {
      open_for_writing(mode);
    }
  } catch (...) {
    close();  // no destructor runs for what was not made
    throw;
  }
}

void Store::Database::open_for_writing(StoreMode mode) {
  std::error_code error;
  if (mode == StoreMode::kCreate && path.has_parent_path()) {
    fs::create_directories(path.parent_path(), error);
    if (error) {
      throw IoError(fmt::format("{}: cannot make the run store's directory: {}",
                                path.parent_path().string(), error.message()),
                    "check the permissions, or name another file with POLYPHONY_STORE");
    }
  }
  const int create = mode == StoreMode::kCreate ? SQLITE_OPEN_CREATE : 0;
  connect(path.string(), SQLITE_OPEN_READWRITE | create);
  if (sqlite3_db_readonly(handle, "main") == 1 || (fs::exists(path) && !may_write(path))) {
    throw IoError(fmt::format("{}: run store: the file cannot be written to", path.string()),
                  "check its permissions and those of its directory, or name another file with "
                  "POLYPHONY_STORE");
  }
  if (mode == StoreMode::kCreate) execute("PRAGMA journal_mode=WAL");
  execute("PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON");
  migrate();
}

/// SQLite must make no file beside a store that is not ours to write: a -shm that belongs to a
/// reader keeps its owner out.
void Store::Database::open_for_reading() {
  const auto beside = [this](const char* suffix) { return fs::path(path.string() + suffix); };
  std::error_code error;
  const bool has_index = access(beside("-shm").c_str(), R_OK) == 0;
  const bool has_log =
      fs::exists(beside("-wal"), error) && (has_index || fs::file_size(beside("-wal"), error) > 0);
  if (!has_log || !has_index) state_ = state_of(path);
  if (has_log && !has_index) {
    open_copy();
  } else {
    connect(uri_of(path) + (has_log ? "?readonly_shm=1" : "?immutable=1"),
            SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    if (number("PRAGMA user_version") < kSchemaVersion) {
      sqlite3_close(handle);
      handle = nullptr;
      state_ = state_of(path);
      open_copy();
    }
  }
  if (number("PRAGMA user_version") > kSchemaVersion) migrate();  // says that it is too new
}

/// A log that nobody can put into the file, or an older schema that nobody can bring up to date
/// there: both are done in a copy.
void Store::Database::open_copy() {
  std::string folder = (fs::temp_directory_path() / "polyphony-store-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    throw IoError(fmt::format("{}: run store: it can only be read in a copy, and {} takes none",
                              path.string(), fs::temp_directory_path().string()),
                  "name a directory that can be written to with TMPDIR");
  }
  copy_ = folder;
  const fs::path file = copy_ / "runs.db";
  std::error_code error;
  write_file(file, read_file(path));
  const fs::path log = path.string() + "-wal";
  if (fs::exists(log, error)) write_file(file.string() + "-wal", read_file(log));
  connect(file.string(), SQLITE_OPEN_READWRITE);
  migrate();
}

void Store::Database::migrate() const {
  const auto version = [this] { return number("PRAGMA user_version"); };
  if (version() < kSchemaVersion) {
    transaction([&] {
      // Read again: another process may have migrated while this one waited.
      if (version() == 0 && number("SELECT count(*) FROM sqlite_master") > 0) {
        throw IoError(fmt::format("{}: an SQLite file, but no run store", path.string()),
                      "name another file with POLYPHONY_STORE");
      }
      for (std::int64_t v = version(); v < kSchemaVersion; ++v) {
        execute(kMigrations.at(static_cast<std::size_t>(v)));
        if (v == 1) fill_summaries_and_config();
        execute(fmt::format("PRAGMA user_version={}", v + 1));
      }
    });
  }
  if (version() > kSchemaVersion) {
    throw IoError(fmt::format("{}: run store of schema version {}, this program knows up to {}",
                              path.string(), version(), kSchemaVersion),
                  "it was written by a newer polyphony: update this one, or name another file with "
                  "POLYPHONY_STORE");
  }
}

/// What version 2 derives from the runs that version 1 has recorded.
void Store::Database::fill_summaries_and_config() const {
  execute(R"sql(
INSERT INTO metric_summaries
SELECT m.run_id, m.name, m.step, m.epoch, m.wall_time, m.value, s.low, s.high, s.count
FROM metrics m JOIN (
  SELECT max(rowid) AS newest, min(value) AS low, max(value) AS high, count(*) AS count
  FROM metrics GROUP BY run_id, name) s ON m.rowid = s.newest;
UPDATE runs SET exit_reason = CASE WHEN error = '' THEN state ELSE error END
WHERE state <> 'running')sql");
  Statement select(handle, path, "SELECT id, config_yaml FROM runs");
  Statement insert(handle, path, "INSERT OR REPLACE INTO config_values VALUES(?, ?, ?, ?)");
  while (select.step()) {
    const std::int64_t run = select.integer(0);
    try {
      const auto config = config::parse_yaml(select.text(1), fmt::format("run {}", run));
      for (const ConfigValue& leaf : config_leaves(config)) {
        insert.bind(run).bind(leaf.key).bind(leaf.value).bind(leaf.number).run();
      }
    } catch (const ConfigError&) {
      // A configuration that is no YAML stays readable as text; it has no leaves.
    }
  }
}

}  // namespace polyphony::record
