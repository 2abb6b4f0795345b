#include <algorithm>
#include <map>

#include <fmt/format.h>

#include <polyphony/base/json.h>
#include <polyphony/record/host.h>
#include <polyphony/record/store_database.h>

// The reading half of Store.

namespace polyphony::record {
namespace {

constexpr const char* kRunColumns =
    "id, name, directory, state, error, host, pid, git_commit, git_dirty, command, config_yaml, "
    "overrides, seed, started, ended, duration, verb, group_name, notes, exit_reason, heartbeat, "
    "hyper_parameters, source, uid";
constexpr const char* kDetailColumns = ", git_diff, git_remote, environment, system, model_summary";
constexpr int kFirstDetail = 24;

/// A running run of another host that gave no sign of life for so long is gone.
constexpr double kSilentSeconds = 300;

Pairs read_pairs(const std::string& text) {
  Pairs pairs;
  const auto json = parse_ordered_json(text, /*allow_exceptions=*/false);
  if (!json.is_object()) return pairs;
  for (const auto& [name, value] : json.items()) {
    pairs.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return pairs;
}

bool is_gone(const Run& run, const std::string& this_host) {
  // A run that was resumed is older than its process, but not its last sign of life.
  const double last = std::max(run.started, run.heartbeat.value_or(run.started));
  if (run.host == this_host) return !process_alive(run.pid, last);
  return run.heartbeat && now() - *run.heartbeat > kSilentSeconds;
}

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
  const auto overrides = parse_json(row.text(11), /*allow_exceptions=*/false);
  if (overrides.is_array()) {
    for (const auto& item : overrides) {
      if (item.is_string()) run.overrides.push_back(item.get<std::string>());
    }
  }
  if (!row.is_null(12)) run.seed = row.integer(12);
  run.started = row.real(13);
  run.ended = row.optional_real(14);
  run.duration = row.optional_real(15);
  run.verb = row.text(16);
  run.group = row.text(17);
  run.notes = row.text(18);
  run.exit_reason = row.text(19);
  run.heartbeat = row.optional_real(20);
  run.hyper_parameters = read_pairs(row.text(21));
  run.source = row.text(22);
  run.uid = row.text(23);
  if (run.state == State::kRunning && is_gone(run, this_host)) {
    run.state = State::kInterrupted;
    run.died = true;
    run.exit_reason = "its process is gone";
  }
  return run;
}

void read_details(Statement& row, Run& run) {
  run.git_diff = row.text(kFirstDetail);
  run.git_remote = row.text(kFirstDetail + 1);
  run.environment = read_pairs(row.text(kFirstDetail + 2));
  run.system = read_pairs(row.text(kFirstDetail + 3));
  run.model_summary = row.text(kFirstDetail + 4);
}

Metric read_metric(Statement& row) {
  return {row.text(0), row.integer(1), row.integer(2), row.real(3), row.real_or_nan(4)};
}

}  // namespace

std::vector<Run> Store::runs(const RunQuery& query) const {
  const Database& db = *database_;
  std::map<std::int64_t, std::vector<std::string>> tags;
  Statement tagged(db.handle, db.path, "SELECT run_id, tag FROM tags ORDER BY run_id, tag");
  while (tagged.step()) tags[tagged.integer(0)].push_back(tagged.text(1));
  Statement select(db.handle, db.path,
                   fmt::format("SELECT {} FROM runs ORDER BY id DESC", kRunColumns));
  const std::string host = host_name();
  std::vector<Run> runs;
  const auto full = [&] {
    return query.limit && static_cast<std::int64_t>(runs.size()) >= *query.limit;
  };
  while (!full() && select.step()) {
    Run run = read_run(select, host);
    if (query.state && run.state != *query.state) continue;
    if (const auto found = tags.find(run.id); found != tags.end()) run.tags = found->second;
    runs.push_back(std::move(run));
  }
  return runs;
}

std::optional<Run> Store::find(std::int64_t id) const {
  const Database& db = *database_;
  Statement select(db.handle, db.path,
                   fmt::format("SELECT {}{} FROM runs WHERE id = ?", kRunColumns, kDetailColumns));
  select.bind(id);
  if (!select.step()) return std::nullopt;
  Run run = read_run(select, host_name());
  read_details(select, run);
  Statement tags(db.handle, db.path, "SELECT tag FROM tags WHERE run_id = ? ORDER BY tag");
  tags.bind(id);
  while (tags.step()) run.tags.push_back(tags.text(0));
  return run;
}

std::optional<Run> Store::find_by_directory(const std::filesystem::path& directory) const {
  Statement select(database_->handle, database_->path,
                   "SELECT id FROM runs WHERE directory = ? ORDER BY id DESC LIMIT 1");
  select.bind(directory.string());
  return select.step() ? find(select.integer(0)) : std::nullopt;
}

std::vector<Metric> Store::metrics(std::int64_t run, const std::string& name) const {
  Statement select(database_->handle, database_->path,
                   fmt::format("SELECT name, step, epoch, wall_time, value FROM metrics "
                               "WHERE run_id = ?1{} ORDER BY rowid",
                               name.empty() ? "" : " AND name = ?2"));
  select.bind(run);
  if (!name.empty()) select.bind(name);
  std::vector<Metric> metrics;
  while (select.step()) metrics.push_back(read_metric(select));
  return metrics;
}

std::vector<Metric> Store::final_metrics(std::int64_t run) const {
  std::vector<Metric> metrics;
  for (MetricSummary& summary : summaries(run)) metrics.push_back(std::move(summary.last));
  return metrics;
}

std::vector<MetricSummary> Store::summaries(std::int64_t run) const {
  Statement select(database_->handle, database_->path,
                   "SELECT name, step, epoch, wall_time, value, min, max, count "
                   "FROM metric_summaries WHERE run_id = ? ORDER BY name");
  select.bind(run);
  std::vector<MetricSummary> summaries;
  while (select.step()) {
    summaries.push_back(
        {read_metric(select), select.real_or_nan(5), select.real_or_nan(6), select.integer(7)});
  }
  return summaries;
}

std::vector<ConfigValue> Store::config_values(std::int64_t run) const {
  Statement select(database_->handle, database_->path,
                   "SELECT key, value, number FROM config_values WHERE run_id = ? ORDER BY key");
  select.bind(run);
  std::vector<ConfigValue> values;
  while (select.step()) {
    values.push_back({select.text(0), select.text(1), select.optional_real(2)});
  }
  return values;
}

std::vector<SystemMetric> Store::system_metrics(std::int64_t run, const std::string& name) const {
  Statement select(database_->handle, database_->path,
                   fmt::format("SELECT name, wall_time, value FROM system_metrics "
                               "WHERE run_id = ?1{} ORDER BY rowid",
                               name.empty() ? "" : " AND name = ?2"));
  select.bind(run);
  if (!name.empty()) select.bind(name);
  std::vector<SystemMetric> metrics;
  while (select.step()) {
    metrics.push_back({select.text(0), select.real(1), select.real_or_nan(2)});
  }
  return metrics;
}

std::vector<ConsoleLine> Store::console(std::int64_t run, std::int64_t after) const {
  Statement select(database_->handle, database_->path,
                   "SELECT id, wall_time, text FROM console WHERE run_id = ? AND id > ? "
                   "ORDER BY id");
  select.bind(run).bind(after);
  std::vector<ConsoleLine> lines;
  while (select.step()) lines.push_back({select.integer(0), select.real(1), select.text(2)});
  return lines;
}

std::vector<Alert> Store::alerts(std::int64_t run) const {
  Statement select(database_->handle, database_->path,
                   "SELECT title, text, level, wall_time FROM alerts WHERE run_id = ? "
                   "ORDER BY rowid");
  select.bind(run);
  std::vector<Alert> alerts;
  while (select.step()) {
    alerts.push_back({select.text(0), select.text(1), select.text(2), select.real(3)});
  }
  return alerts;
}

std::vector<Artifact> Store::artifacts(std::int64_t run, const std::string& kind) const {
  Statement select(database_->handle, database_->path,
                   "SELECT id, kind, name, path, sha256, bytes, created, metadata, data "
                   "FROM artifacts WHERE run_id = ?1 AND (?2 = '' OR kind = ?2) ORDER BY id");
  select.bind(run).bind(kind);
  std::vector<Artifact> artifacts;
  while (select.step()) {
    Artifact artifact;
    artifact.id = select.integer(0);
    artifact.kind = select.text(1);
    artifact.name = select.text(2);
    artifact.path = select.text(3);
    artifact.sha256 = select.text(4);
    artifact.bytes = select.integer(5);
    artifact.created = select.real(6);
    artifact.metadata = select.text(7);
    artifact.data = select.text(8);
    artifacts.push_back(std::move(artifact));
  }
  return artifacts;
}

}  // namespace polyphony::record
