#include <polyphony/record/run_index.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/record/host.h>
#include <polyphony/record/store_database.h>

namespace polyphony::record {
namespace {

using Column = std::unordered_map<std::int64_t, std::string>;
using MaybeField = std::optional<FieldValue>;

MaybeField text_or_nothing(const std::string& text) {
  return text.empty() ? MaybeField() : MaybeField(text);
}

/// A field that is computed from the run's own row.
struct OwnField {
  std::string name;
  MaybeField (*read)(const Run& run);
};

const std::vector<OwnField>& own_field_table() {
  static const std::vector<OwnField> kFields = {
      {"id", [](const Run& run) { return MaybeField(static_cast<double>(run.id)); }},
      {"name", [](const Run& run) { return MaybeField(run.name); }},
      {"state", [](const Run& run) { return MaybeField(to_string(run.state)); }},
      {"tag",
       [](const Run& run) { return text_or_nothing(fmt::format("{}", fmt::join(run.tags, ","))); }},
      {"group", [](const Run& run) { return text_or_nothing(run.group); }},
      {"verb", [](const Run& run) { return text_or_nothing(run.verb); }},
      {"notes", [](const Run& run) { return text_or_nothing(run.notes); }},
      {"started", [](const Run& run) { return MaybeField(iso_time(run.started)); }},
      {"ended",
       [](const Run& run) { return run.ended ? MaybeField(iso_time(*run.ended)) : std::nullopt; }},
      {"seconds",
       [](const Run& run) { return run.duration ? MaybeField(*run.duration) : std::nullopt; }},
      {"seed",
       [](const Run& run) {
         return run.seed ? MaybeField(static_cast<double>(*run.seed)) : std::nullopt;
       }},
      {"host", [](const Run& run) { return text_or_nothing(run.host); }},
      {"commit", [](const Run& run) { return text_or_nothing(run.git_commit.value_or("")); }},
      {"command", [](const Run& run) { return text_or_nothing(run.command); }},
      {"directory", [](const Run& run) { return text_or_nothing(run.directory.string()); }},
      {"error", [](const Run& run) { return text_or_nothing(run.error); }},
      {"source", [](const Run& run) { return text_or_nothing(run.source); }}};
  return kFields;
}

const OwnField* own_field(std::string_view name) {
  for (const OwnField& field : own_field_table()) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

/// A metric's value under a prefix.
struct MetricPrefix {
  std::string_view text;
  double MetricValues::*value;
};
constexpr std::array<MetricPrefix, 3> kMetricPrefixes = {
    {{"metric.", &MetricValues::last}, {"min.", &MetricValues::min}, {"max.", &MetricValues::max}}};

}  // namespace

std::string field_text(const FieldValue& value) {
  const auto* number = std::get_if<double>(&value);
  return number != nullptr ? fmt::format("{}", *number) : std::get<std::string>(value);
}

const std::vector<std::string>& own_fields() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> list;
    for (const OwnField& field : own_field_table()) list.push_back(field.name);
    return list;
  }();
  return kNames;
}

struct RunIndex::State {
  explicit State(const std::filesystem::path& path) : store(path, StoreMode::kRead) {}

  Store store;
  std::map<std::int64_t, IndexedRun> runs;
  std::map<std::int64_t, std::string> rows;  ///< what can change of a run's row, as one text
  std::set<std::string> metric_names;
  std::int64_t last_metric = 0;  ///< rowid of the newest value read
  std::int64_t version = 0;      ///< of the data, when last read; 0: never
  mutable std::map<std::string, Column, std::less<>> columns;  ///< configuration keys read so far

  Statement statement(const std::string& sql) const {
    const auto& db = store.database();
    return {db.handle, db.path, sql};
  }
  std::int64_t number(const std::string& sql) const { return store.database().number(sql); }
  std::map<std::int64_t, std::string> read_rows() const;
  void add(Run run);
  void read_runs(std::set<std::int64_t>& changed);
  void read_all_summaries();
  void read_new_metrics(std::set<std::int64_t>& changed);
  void find_dead(std::set<std::int64_t>& changed);
  const Column& column(std::string_view key) const;
};

std::map<std::int64_t, std::string> RunIndex::State::read_rows() const {
  std::map<std::int64_t, std::string> found;
  Statement select = statement(
      "SELECT id, state || char(31) || error || char(31) || group_name || char(31) || notes || "
      "char(31) || ifnull((SELECT group_concat(tag, char(31)) FROM tags WHERE run_id = id), '') "
      "FROM runs");
  while (select.step()) found[select.integer(0)] = select.text(1);
  return found;
}

void RunIndex::State::add(Run run) {
  run.config_yaml = {};  // thousands of these are not for keeping
  runs[run.id].run = std::move(run);
}

void RunIndex::State::read_runs(std::set<std::int64_t>& changed) {
  auto now = read_rows();
  bool removed = false;
  for (const auto& [id, row] : rows) {
    if (now.contains(id)) continue;
    removed = true;
    runs.erase(id);
    changed.insert(id);
  }
  const bool first = rows.empty();
  if (first) {
    for (Run& run : store.runs()) add(std::move(run));
  }
  for (const auto& [id, row] : now) {
    const auto known = rows.find(id);
    if (known != rows.end() && known->second == row) continue;
    changed.insert(id);
    if (known == rows.end()) columns.clear();
    if (first) continue;
    if (auto run = store.find(id)) add(*std::move(run));
  }
  rows = std::move(now);
  if (!removed) return;
  columns.clear();
  // SQLite gives the row numbers of removed values anew: look at every run that may be writing.
  last_metric = number("SELECT ifnull(max(rowid), 0) FROM metrics");
  for (auto& [id, entry] : runs) {
    if (entry.run.state != record::State::kRunning) continue;
    for (const MetricSummary& metric : store.summaries(id)) {
      entry.metrics[metric.last.name] = {metric.last.value, metric.min, metric.max};
    }
    changed.insert(id);
  }
}

void RunIndex::State::read_all_summaries() {
  last_metric = number("SELECT ifnull(max(rowid), 0) FROM metrics");
  Statement select =
      statement("SELECT run_id, name, value, min, max FROM metric_summaries ORDER BY run_id");
  while (select.step()) {
    const auto found = runs.find(select.integer(0));
    if (found == runs.end()) continue;
    const std::string name = select.text(1);
    metric_names.insert(name);
    found->second.metrics[name] = {select.real_or_nan(2), select.real_or_nan(3),
                                   select.real_or_nan(4)};
  }
}

void RunIndex::State::read_new_metrics(std::set<std::int64_t>& changed) {
  std::set<std::int64_t> grown;
  Statement select = statement("SELECT rowid, run_id FROM metrics WHERE rowid > ? ORDER BY rowid");
  select.bind(last_metric);
  while (select.step()) {
    if (!runs.contains(select.integer(1))) break;  // begun since: read with its run next time
    last_metric = select.integer(0);
    grown.insert(select.integer(1));
  }
  for (const std::int64_t id : grown) {
    for (const MetricSummary& metric : store.summaries(id)) {
      metric_names.insert(metric.last.name);
      runs[id].metrics[metric.last.name] = {metric.last.value, metric.min, metric.max};
    }
  }
  changed.merge(grown);
}

/// A run whose process is gone ends without a word in the store.
void RunIndex::State::find_dead(std::set<std::int64_t>& changed) {
  for (auto& [id, entry] : runs) {
    if (entry.run.state != record::State::kRunning) continue;
    auto again = store.find(id);
    if (!again || again->state == record::State::kRunning) continue;
    changed.insert(id);
    again->config_yaml = {};
    entry.run = *std::move(again);
  }
}

const Column& RunIndex::State::column(std::string_view key) const {
  if (const auto found = columns.find(key); found != columns.end()) return found->second;
  Column& values = columns[std::string(key)];
  Statement select = statement("SELECT run_id, value FROM config_values WHERE key = ?");
  select.bind(std::string(key));
  while (select.step()) values[select.integer(0)] = select.text(1);
  return values;
}

RunIndex::RunIndex(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {
  refresh();
}
RunIndex::~RunIndex() = default;
RunIndex::RunIndex(RunIndex&&) noexcept = default;

std::vector<std::int64_t> RunIndex::refresh() {
  std::set<std::int64_t> changed;
  const bool first = state_->version == 0;
  if (!first && state_->store.refresh()) state_->version = -1;  // another connection
  const std::int64_t version = state_->number("PRAGMA data_version");
  if (version != state_->version) {
    state_->version = version;
    state_->read_runs(changed);
    if (first) {
      state_->read_all_summaries();
    } else {
      state_->read_new_metrics(changed);
    }
  }
  if (!first) state_->find_dead(changed);
  return {changed.begin(), changed.end()};
}

const std::map<std::int64_t, IndexedRun>& RunIndex::runs() const { return state_->runs; }

std::vector<std::string> RunIndex::metric_names() const {
  return {state_->metric_names.begin(), state_->metric_names.end()};
}

std::vector<std::string> RunIndex::config_keys() const {
  // From one key to the next by the index: DISTINCT would read every run's every key.
  Statement select = state_->statement(
      "WITH RECURSIVE keys(key) AS (SELECT min(key) FROM config_values UNION ALL "
      "SELECT (SELECT min(key) FROM config_values WHERE key > keys.key) FROM keys "
      "WHERE key IS NOT NULL) SELECT key FROM keys WHERE key IS NOT NULL");
  std::vector<std::string> keys;
  while (select.step()) keys.push_back(select.text(0));
  return keys;
}

std::optional<FieldValue> RunIndex::field(const IndexedRun& run, std::string_view name) const {
  if (const OwnField* own = own_field(name)) return own->read(run.run);
  for (const auto& [prefix, value] : kMetricPrefixes) {
    if (!name.starts_with(prefix)) continue;
    const auto found = run.metrics.find(std::string(name.substr(prefix.size())));
    if (found != run.metrics.end()) return found->second.*value;
  }
  if (const auto found = run.metrics.find(std::string(name)); found != run.metrics.end()) {
    return found->second.last;
  }
  constexpr std::string_view kConfig = "config.";
  for (const std::string_view key : {name, name.substr(std::min(name.size(), kConfig.size()))}) {
    if (key.size() != name.size() && !name.starts_with(kConfig)) break;
    const Column& column = state_->column(key);
    if (const auto found = column.find(run.run.id); found != column.end()) return found->second;
  }
  return std::nullopt;
}

void RunIndex::check_field(const std::string& name) const {
  if (runs().empty() || own_field(name) != nullptr) return;
  for (const auto& [id, run] : runs()) {
    if (field(run, name)) return;
  }
  std::vector<std::string> known = metric_names();
  for (const auto& names : {config_keys(), own_fields()}) {
    known.insert(known.end(), names.begin(), names.end());
  }
  const std::string meant = base::nearest(name, known);
  throw UsageError(fmt::format("{}: no run has a field `{}`", store().path().string(), name),
                   meant.empty()
                       ? fmt::format("a field is a metric, a dotted configuration key, or "
                                     "one of {}",
                                     fmt::join(own_fields(), ", "))
                       : fmt::format("did you mean `{}`?", meant));
}

const Store& RunIndex::store() const { return state_->store; }

}  // namespace polyphony::record
