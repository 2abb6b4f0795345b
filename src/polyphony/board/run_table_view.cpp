#include <polyphony/board/run_table_view.h>

#include <algorithm>
#include <map>
#include <utility>

#include <polyphony/record/store_database.h>

namespace polyphony::board {
namespace {

using record::FieldValue;
using record::IndexedRun;
using record::RunIndex;
using RunList = std::vector<const IndexedRun*>;

RunList matching(const RunIndex& index, const TableView& view) {
  const record::RunFilter filter(view.where);
  filter.check_fields(index);
  return record::select_runs(index, filter, record::parse_order(view.sort));
}

Json run_row(const RunIndex& index, const IndexedRun& run,
             const std::vector<std::string>& columns) {
  Json cells = Json::array();
  for (const std::string& column : columns) cells.push_back(field_json(index.field(run, column)));
  return {{"id", run.run.id},
          {"state", to_string(run.run.state)},
          {"died", run.run.died},
          {"cells", std::move(cells)}};
}

/// The mean and range of numbers, or the text that all share.
Json group_cell(const RunIndex& index, const RunList& runs, const std::string& column) {
  double sum = 0, low = 0, high = 0;
  std::size_t numbers = 0;
  std::optional<std::string> text;
  bool mixed = false;
  for (const IndexedRun* run : runs) {
    const auto value = index.field(*run, column);
    if (!value) continue;
    if (const auto* number = std::get_if<double>(&*value)) {
      low = numbers == 0 ? *number : std::min(low, *number);
      high = numbers == 0 ? *number : std::max(high, *number);
      sum += *number;
      ++numbers;
      continue;
    }
    const auto& here = std::get<std::string>(*value);
    mixed = mixed || (text && *text != here);
    text = here;
  }
  if (numbers > 0) {
    return {{"mean", number_json(sum / static_cast<double>(numbers))},
            {"low", number_json(low)},
            {"high", number_json(high)}};
  }
  return text && !mixed ? Json(*text) : Json();
}

struct Group {
  std::string value;
  RunList runs;
};

/// In the order of their first runs.
std::vector<Group> groups_of(const RunIndex& index, const RunList& runs, const std::string& field) {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> places;
  for (const IndexedRun* run : runs) {
    const auto value = index.field(*run, field);
    const std::string text = value ? record::field_text(*value) : "";
    const auto [place, added] = places.try_emplace(text, groups.size());
    if (added) groups.push_back({text, {}});
    groups[place->second].runs.push_back(run);
  }
  return groups;
}

/// A line of the table: a run, or a group's head.
struct Line {
  const IndexedRun* run;
  const Group* group;
};

std::vector<Line> lines_of(const std::vector<Group>& groups, const RunList& runs,
                           const TableView& view) {
  std::vector<Line> lines;
  if (view.group.empty()) {
    for (const IndexedRun* run : runs) lines.push_back({run, nullptr});
    return lines;
  }
  for (const Group& group : groups) {
    lines.push_back({nullptr, &group});
    if (!view.open.contains(group.value)) continue;
    for (const IndexedRun* run : group.runs) lines.push_back({run, nullptr});
  }
  return lines;
}

}  // namespace

Json table_json(const RunIndex& index, const TableView& view) {
  const RunList runs = matching(index, view);
  const auto groups =
      view.group.empty() ? std::vector<Group>() : groups_of(index, runs, view.group);
  const std::vector<Line> lines = lines_of(groups, runs, view);
  const auto size = static_cast<std::int64_t>(lines.size());
  const std::int64_t begin = std::clamp(view.offset, std::int64_t{0}, size);
  const std::int64_t end = std::clamp(begin + view.limit, begin, size);
  Json rows = Json::array();
  for (std::int64_t i = begin; i < end; ++i) {
    const Line& line = lines[static_cast<std::size_t>(i)];
    if (line.run != nullptr) {
      rows.push_back(run_row(index, *line.run, view.columns));
      continue;
    }
    Json cells = Json::array();
    for (const std::string& column : view.columns) {
      cells.push_back(group_cell(index, line.group->runs, column));
    }
    rows.push_back({{"group", line.group->value},
                    {"runs", line.group->runs.size()},
                    {"open", view.open.contains(line.group->value)},
                    {"cells", std::move(cells)}});
  }
  return {{"total", index.runs().size()},
          {"matching", runs.size()},
          {"length", size},
          {"offset", begin},
          {"rows", std::move(rows)}};
}

Json table_ids_json(const RunIndex& index, const TableView& view) {
  Json ids = Json::array();
  for (const IndexedRun* run : matching(index, view)) {
    if (static_cast<std::int64_t>(ids.size()) >= view.limit) break;
    ids.push_back(run->run.id);
  }
  return {{"ids", std::move(ids)}};
}

Json fields_json(const RunIndex& index) {
  std::map<std::string, int> states;
  for (const auto& [id, run] : index.runs()) ++states[to_string(run.run.state)];
  const auto& db = index.store().database();
  Json varying = Json::array();
  // A key varies where its smallest value is not its largest: two looks at the index, not all runs.
  record::Statement ends(db.handle, db.path,
                         "SELECT (SELECT min(value) FROM config_values WHERE key = ?1) <> "
                         "(SELECT max(value) FROM config_values WHERE key = ?1)");
  const std::vector<std::string> keys = index.config_keys();
  for (const std::string& key : keys) {
    ends.bind(key);
    if (ends.step() && ends.integer(0) != 0) varying.push_back(key);
    ends.reset();
  }
  return {{"runs", index.runs().size()},    {"states", states}, {"metrics", index.metric_names()},
          {"fields", record::own_fields()}, {"keys", keys},     {"varying", std::move(varying)}};
}

Json points_json(const RunIndex& index, const TableView& view) {
  RunList runs = matching(index, view);
  const std::size_t total = runs.size();
  if (total > static_cast<std::size_t>(view.limit))
    runs.resize(static_cast<std::size_t>(view.limit));
  Json ids = Json::array(), names = Json::array(), values = Json::object();
  for (const IndexedRun* run : runs) {
    ids.push_back(run->run.id);
    names.push_back(run->run.name);
  }
  for (const std::string& column : view.columns) {
    Json& list = values[column] = Json::array();
    for (const IndexedRun* run : runs) list.push_back(field_json(index.field(*run, column)));
  }
  return {{"ids", std::move(ids)},
          {"names", std::move(names)},
          {"total", total},
          {"values", std::move(values)}};
}

}  // namespace polyphony::board
