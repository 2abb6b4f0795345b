#include <polyphony/record/store.h>

#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/record/config_leaves.h>
#include <polyphony/record/host.h>
#include <polyphony/record/store_database.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string json_object(const Pairs& pairs) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : pairs) json[name] = value;
  return dump(json);
}

/// The leaves of a configuration; none where the text is no YAML.
std::vector<ConfigValue> leaves_of(const std::string& yaml) {
  try {
    return config_leaves(config::parse_yaml(yaml, "the run's configuration"));
  } catch (const ConfigError&) {
    return {};
  }
}

}  // namespace

Store::Store(const fs::path& path, StoreMode mode, double patience)
    : database_(std::make_unique<Database>()) {
  database_->path = path;
  database_->patience = patience;
  database_->open(mode);
}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

const fs::path& Store::path() const { return database_->path; }

bool Store::refresh() {
  if (!database_->outdated()) return false;
  auto fresh = std::make_unique<Database>();
  fresh->path = database_->path;
  fresh->patience = database_->patience;
  fresh->open(StoreMode::kRead);
  database_ = std::move(fresh);
  return true;
}

bool Store::moved() const { return database_->moved(); }
void Store::detach() { database_->detach(); }

std::int64_t Store::begin(const RunInfo& info, std::optional<double> started) {
  const Database& db = *database_;
  std::int64_t run = 0;
  db.transaction([&] {
    if (!info.uid.empty()) {
      Statement known(db.handle, db.path, "SELECT id FROM runs WHERE uid = ?");
      known.bind(info.uid);
      if (known.step()) {
        run = known.integer(0);
        return;
      }
    }
    Statement insert(
        db.handle, db.path,
        "INSERT INTO runs(name, directory, state, host, pid, git_commit, git_dirty, command, "
        "config_yaml, overrides, seed, started, verb, group_name, notes, heartbeat, git_diff, "
        "git_remote, environment, system, hyper_parameters, model_summary, source, uid) "
        "VALUES(?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?11, ?12, ?13, ?14, ?11, ?15, ?16, ?17, "
        "?18, ?19, ?20, ?21, ?22)");
    insert.bind(info.name).bind(info.directory.string()).bind(info.host).bind(info.pid);
    insert.bind(info.git_commit).bind(std::int64_t{info.git_dirty}).bind(info.command);
    insert.bind(info.config_yaml).bind(dump(info.overrides)).bind(info.seed);
    insert.bind(started.value_or(now())).bind(info.verb).bind(info.group).bind(info.notes);
    insert.bind(info.git_diff).bind(info.git_remote).bind(json_object(info.environment));
    insert.bind(json_object(info.system)).bind(json_object(info.hyper_parameters));
    insert.bind(info.model_summary).bind(info.source.empty() ? "polyphony" : info.source);
    insert.bind(info.uid).run();
    run = sqlite3_last_insert_rowid(db.handle);
    Statement tag(db.handle, db.path, "INSERT OR IGNORE INTO tags VALUES(?, ?)");
    for (const std::string& text : info.tags) tag.bind(run).bind(text).run();
    Statement leaf(db.handle, db.path, "INSERT OR REPLACE INTO config_values VALUES(?, ?, ?, ?)");
    for (const ConfigValue& value : leaves_of(info.config_yaml)) {
      leaf.bind(run).bind(value.key).bind(value.value).bind(value.number).run();
    }
  });
  return run;
}

void Store::resume(std::int64_t run, const RunInfo& info) {
  require_run(run);
  const Database& db = *database_;
  db.transaction([&] {
    Statement update(db.handle, db.path,
                     "UPDATE runs SET state = 'running', error = '', exit_reason = '', "
                     "ended = NULL, duration = NULL, host = ?1, pid = ?2, git_commit = ?3, "
                     "git_dirty = ?4, git_diff = ?5, git_remote = ?6, config_yaml = ?7, "
                     "overrides = ?8, seed = ?9, heartbeat = ?10, environment = ?11, system = ?12 "
                     "WHERE id = ?13");
    update.bind(info.host).bind(info.pid).bind(info.git_commit).bind(std::int64_t{info.git_dirty});
    update.bind(info.git_diff).bind(info.git_remote).bind(info.config_yaml);
    update.bind(dump(info.overrides)).bind(info.seed).bind(now());
    update.bind(json_object(info.environment)).bind(json_object(info.system)).bind(run).run();
    Statement clear(db.handle, db.path, "DELETE FROM config_values WHERE run_id = ?");
    clear.bind(run).run();
    Statement leaf(db.handle, db.path, "INSERT OR REPLACE INTO config_values VALUES(?, ?, ?, ?)");
    for (const ConfigValue& value : leaves_of(info.config_yaml)) {
      leaf.bind(run).bind(value.key).bind(value.value).bind(value.number).run();
    }
  });
}

void Store::rewind(std::int64_t run, std::int64_t count) {
  require_run(run);
  const Database& db = *database_;
  db.transaction([&] {
    Statement erase(db.handle, db.path,
                    "DELETE FROM metrics WHERE run_id = ?1 AND rowid NOT IN (SELECT rowid FROM "
                    "metrics WHERE run_id = ?1 ORDER BY rowid LIMIT ?2)");
    erase.bind(run).bind(count).run();
    Statement clear(db.handle, db.path, "DELETE FROM metric_summaries WHERE run_id = ?");
    clear.bind(run).run();
    // Of each metric its last value, with the extremes of all: SQLite takes the other columns from
    // the row that has the greatest rowid.
    Statement insert(db.handle, db.path,
                     "INSERT INTO metric_summaries SELECT run_id, name, step, epoch, wall_time, "
                     "value, (SELECT min(value) FROM metrics WHERE run_id = m.run_id AND name = "
                     "m.name), (SELECT max(value) FROM metrics WHERE run_id = m.run_id AND name = "
                     "m.name), (SELECT count(*) FROM metrics WHERE run_id = m.run_id AND name = "
                     "m.name) FROM metrics m WHERE run_id = ?1 AND rowid IN (SELECT max(rowid) "
                     "FROM metrics WHERE run_id = ?1 GROUP BY name)");
    insert.bind(run).run();
  });
}

void Store::log(std::int64_t run, std::span<const Metric> metrics) {
  if (metrics.empty()) return;
  Database& db = *database_;
  if (!db.insert_metric) {
    db.insert_metric = std::make_unique<Statement>(
        db.handle, db.path,
        "INSERT INTO metrics(run_id, name, step, epoch, wall_time, value) VALUES(?, ?, ?, ?, ?, "
        "?)");
    db.update_summary = std::make_unique<Statement>(
        db.handle, db.path,
        "INSERT INTO metric_summaries VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6, 1) "
        "ON CONFLICT(run_id, name) DO UPDATE SET step = ?3, epoch = ?4, wall_time = ?5, value = ?6,"
        "min = coalesce(min(min, ?6), min, ?6), max = coalesce(max(max, ?6), max, ?6), "
        "count = count + 1");
  }
  try {
    db.transaction([&] {
      for (const Metric& metric : metrics) {
        for (Statement* statement : {db.insert_metric.get(), db.update_summary.get()}) {
          statement->bind(run).bind(metric.name).bind(metric.step).bind(metric.epoch);
          statement->bind(metric.wall_time).bind(metric.value).run();
        }
      }
    });
  } catch (...) {
    db.insert_metric->reset();
    db.update_summary->reset();
    throw;
  }
}

void Store::log_system(std::int64_t run, std::span<const SystemMetric> metrics) {
  if (metrics.empty()) return;
  const Database& db = *database_;
  db.transaction([&] {
    Statement insert(db.handle, db.path, "INSERT INTO system_metrics VALUES(?, ?, ?, ?)");
    for (const SystemMetric& metric : metrics) {
      insert.bind(run).bind(metric.name).bind(metric.wall_time).bind(metric.value).run();
    }
  });
}

void Store::log_console(std::int64_t run, std::span<const ConsoleLine> lines) {
  if (lines.empty()) return;
  const Database& db = *database_;
  db.transaction([&] {
    Statement insert(db.handle, db.path,
                     "INSERT INTO console(run_id, wall_time, text) VALUES(?, ?, ?)");
    for (const ConsoleLine& line : lines) {
      insert.bind(run).bind(line.wall_time).bind(line.text).run();
    }
  });
}

void Store::log_alert(std::int64_t run, const Alert& alert) {
  Statement insert(database_->handle, database_->path, "INSERT INTO alerts VALUES(?, ?, ?, ?, ?)");
  insert.bind(run).bind(alert.wall_time).bind(alert.level).bind(alert.title).bind(alert.text).run();
}

void Store::set_hyper_parameters(std::int64_t run, const Pairs& values) {
  Statement update(database_->handle, database_->path,
                   "UPDATE runs SET hyper_parameters = ? WHERE id = ?");
  update.bind(json_object(values)).bind(run).run();
}

void Store::set_model_summary(std::int64_t run, const std::string& text) {
  Statement update(database_->handle, database_->path,
                   "UPDATE runs SET model_summary = ? WHERE id = ?");
  update.bind(text).bind(run).run();
}

void Store::add_artifact(std::int64_t run, const Artifact& artifact) {
  Statement insert(database_->handle, database_->path,
                   "INSERT OR REPLACE INTO artifacts(run_id, kind, name, path, sha256, bytes, "
                   "created, metadata, data) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(run).bind(artifact.kind).bind(artifact.name).bind(artifact.path.string());
  insert.bind(artifact.sha256).bind(artifact.bytes).bind(artifact.created);
  insert.bind(artifact.metadata.empty() ? "{}" : artifact.metadata).bind(artifact.data).run();
}

void Store::heartbeat(std::int64_t run, double time) {
  Statement update(database_->handle, database_->path,
                   "UPDATE runs SET heartbeat = ? WHERE id = ?");
  update.bind(time).bind(run).run();
}

void Store::require_run(std::int64_t run) const {
  Statement select(database_->handle, database_->path, "SELECT 1 FROM runs WHERE id = ?");
  if (select.bind(run).step()) return;
  throw IoError(fmt::format("{}: run store: there is no run {}", path().string(), run),
                "it was removed; `polyphony runs` lists those there are");
}

void Store::finish(std::int64_t run, State state, const std::string& error,
                   const std::string& exit_reason, std::optional<double> time) {
  require_run(run);
  std::string reason = exit_reason.empty() ? error.substr(0, error.find('\n')) : exit_reason;
  if (reason.empty()) reason = to_string(state);
  Statement update(database_->handle, database_->path,
                   "UPDATE runs SET state = ?1, error = ?2, exit_reason = ?3, ended = ?4, "
                   "heartbeat = ?4, duration = ?4 - started WHERE id = ?5");
  update.bind(std::string(to_string(state))).bind(error).bind(reason).bind(time.value_or(now()));
  update.bind(run).run();
}

void Store::set_times(std::int64_t run, double started, std::optional<double> ended) {
  require_run(run);
  Statement update(database_->handle, database_->path,
                   "UPDATE runs SET started = ?1, ended = ?2, heartbeat = ?2, duration = ?2 - ?1 "
                   "WHERE id = ?3");
  update.bind(started).bind(ended).bind(run).run();
}

void Store::add_tag(std::int64_t run, const std::string& tag) {
  require_run(run);
  Statement insert(database_->handle, database_->path, "INSERT OR IGNORE INTO tags VALUES(?, ?)");
  insert.bind(run).bind(tag).run();
}

void Store::remove_tag(std::int64_t run, const std::string& tag) {
  require_run(run);
  Statement erase(database_->handle, database_->path,
                  "DELETE FROM tags WHERE run_id = ? AND tag = ?");
  erase.bind(run).bind(tag).run();
}

void Store::set_group(std::int64_t run, const std::string& group) {
  require_run(run);
  Statement update(database_->handle, database_->path,
                   "UPDATE runs SET group_name = ? WHERE id = ?");
  update.bind(group).bind(run).run();
}

void Store::set_notes(std::int64_t run, const std::string& notes) {
  require_run(run);
  Statement update(database_->handle, database_->path, "UPDATE runs SET notes = ? WHERE id = ?");
  update.bind(notes).bind(run).run();
}

/// All that the run has logged.
void Store::clear(std::int64_t run) {
  for (const char* table :
       {"metrics", "metric_summaries", "system_metrics", "console", "alerts", "artifacts"}) {
    database_->execute(fmt::format("DELETE FROM {} WHERE run_id = {}", table, run));
  }
}

void Store::remove(std::int64_t run) {
  require_run(run);
  database_->transaction([&] {
    clear(run);
    for (const char* table : {"config_values", "tags"}) {
      database_->execute(fmt::format("DELETE FROM {} WHERE run_id = {}", table, run));
    }
    database_->execute(fmt::format("DELETE FROM runs WHERE id = {}", run));
  });
}

std::int64_t Store::batches(std::int64_t run) const {
  return database_->number(fmt::format("SELECT batches FROM runs WHERE id = {}", run));
}

bool Store::write(std::int64_t run, const StoreBatch& batch) {
  bool fresh = false;
  database_->transaction([&] {
    require_run(run);
    const std::int64_t known = batches(run);
    fresh = known < batch.last;
    if (!fresh) return;
    if (known >= batch.first) clear(run);
    log(run, batch.metrics);
    log_system(run, batch.system);
    log_console(run, batch.console);
    for (const Alert& alert : batch.alerts) log_alert(run, alert);
    for (const Artifact& artifact : batch.artifacts) add_artifact(run, artifact);
    if (batch.hyper_parameters) set_hyper_parameters(run, *batch.hyper_parameters);
    if (batch.model_summary) set_model_summary(run, *batch.model_summary);
    if (batch.heartbeat) heartbeat(run, *batch.heartbeat);
    if (batch.end) finish(run, batch.end->state, batch.end->error, "", batch.end->time);
    database_->execute(fmt::format("UPDATE runs SET batches = {} WHERE id = {}", batch.last, run));
  });
  return fresh;
}

StoreBatch Store::all_of(std::int64_t run) const {
  StoreBatch all;
  all.first = 1;
  all.last = batches(run);
  all.metrics = metrics(run);
  all.system = system_metrics(run);
  all.console = console(run);
  all.alerts = alerts(run);
  all.artifacts = artifacts(run);
  if (const auto found = find(run)) {
    all.hyper_parameters = found->hyper_parameters;
    all.model_summary = found->model_summary;
    all.heartbeat = found->heartbeat;
  }
  return all;
}

fs::path default_store_path() {
  const char* named = std::getenv("POLYPHONY_STORE");
  if (named != nullptr && *named != '\0') return named;
  return fs::path("logs") / "polyphony.db";
}

}  // namespace polyphony::record
