#include <polyphony/record/run_table.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include <polyphony/base/json.h>
#include <polyphony/record/host.h>

namespace polyphony::record {
namespace {

using Json = nlohmann::ordered_json;
using Texts = std::map<std::string, std::string>;

constexpr std::array<std::pair<const char*, TableFormat>, 5> kFormats = {
    {{"table", TableFormat::kText},
     {"csv", TableFormat::kCsv},
     {"json", TableFormat::kJson},
     {"markdown", TableFormat::kMarkdown},
     {"latex", TableFormat::kLatex}}};

constexpr const char* kNothing = "-";

std::string number_text(double value, Digits digits) {
  if (digits == Digits::kAll) return fmt::format("{}", value);
  const double size = std::abs(value);
  const bool plain = value == 0 || (size >= 0.001 && size < 1e6) || !std::isfinite(value);
  return plain ? fmt::format("{:.4f}", value) : fmt::format("{:.4g}", value);
}

std::string cell(const RunIndex& index, const IndexedRun& run, const std::string& field,
                 Digits digits) {
  const auto value = index.field(run, field);
  if (!value) return digits == Digits::kAll ? "" : kNothing;
  const auto* number = std::get_if<double>(&*value);
  return number != nullptr ? number_text(*number, digits) : field_text(*value);
}

Json number(double value) {
  if (std::isfinite(value)) return value;
  return fmt::format("{}", value);
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

/// Rows in order of name, "-" where a run has none.
std::vector<Comparison::Row> side_by_side(const std::vector<Texts>& runs) {
  std::map<std::string, std::vector<std::string>> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const auto& [name, value] : runs[i]) {
      rows.try_emplace(name, runs.size(), kNothing).first->second[i] = value;
    }
  }
  return {rows.begin(), rows.end()};
}

}  // namespace

std::optional<TableFormat> parse_table_format(const std::string& name) {
  for (const auto& [text, format] : kFormats) {
    if (name == text) return format;
  }
  return std::nullopt;
}

std::vector<std::string> test_metrics(const RunList& runs) {
  std::set<std::string> names;
  for (const IndexedRun* run : runs) {
    for (const auto& [name, value] : run->metrics) {
      if (name.starts_with("test_")) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

Table run_table(const RunIndex& index, const RunList& runs, const std::vector<std::string>& fields,
                Digits digits) {
  const bool tagged = std::any_of(runs.begin(), runs.end(),
                                  [](const IndexedRun* run) { return !run->run.tags.empty(); });
  std::vector<std::string> header = {"id", "name", "state", "started", "seconds"};
  if (tagged) header.emplace_back("tag");
  header.insert(header.end(), fields.begin(), fields.end());
  header.emplace_back("directory");
  Table table(header);
  for (const IndexedRun* entry : runs) {
    const Run& run = entry->run;
    const bool for_reader = digits == Digits::kShort;
    std::vector<std::string> row = {
        std::to_string(run.id), run.name,
        run.died && for_reader ? "interrupted (died)" : to_string(run.state),
        iso_time(run.started)};
    row.push_back(run.duration && for_reader ? fmt::format("{:.1f}", *run.duration)
                                             : cell(index, *entry, "seconds", digits));
    if (tagged) row.push_back(cell(index, *entry, "tag", digits));
    for (const std::string& field : fields) row.push_back(cell(index, *entry, field, digits));
    row.push_back(run.directory.string());
    table.add_row(row);
  }
  return table;
}

Json run_json(const IndexedRun& entry) {
  const Run& run = entry.run;
  Json json = {{"id", run.id},
               {"name", run.name},
               {"state", to_string(run.state)},
               {"died", run.died},
               {"error", run.error},
               {"tags", run.tags},
               {"directory", run.directory.string()},
               {"host", run.host},
               {"pid", run.pid},
               {"command", run.command},
               {"overrides", run.overrides},
               {"git_dirty", run.git_dirty},
               {"started", iso_time(run.started)}};
  json["git_commit"] = or_null(run.git_commit);
  json["seed"] = or_null(run.seed);
  json["ended"] = run.ended ? Json(iso_time(*run.ended)) : Json();
  json["duration"] = or_null(run.duration);
  json["metrics"] = Json::object();
  for (const auto& [name, value] : entry.metrics) json["metrics"][name] = number(value.last);
  return json;
}

Comparison compare_runs(const RunIndex& index, const RunList& runs, Digits digits) {
  std::vector<Texts> configs, metrics;
  for (const IndexedRun* entry : runs) {
    Texts& leaves = configs.emplace_back();
    for (const ConfigValue& leaf : index.store().config_values(entry->run.id)) {
      leaves[leaf.key] = leaf.value;
    }
    Texts& values = metrics.emplace_back();
    for (const auto& [name, value] : entry->metrics) {
      values[name] = digits == Digits::kAll ? fmt::format("{}", value.last)
                                            : fmt::format("{:.6g}", value.last);
    }
  }
  Comparison comparison{side_by_side(configs), side_by_side(metrics)};
  std::erase_if(comparison.config, [](const Comparison::Row& row) {
    return std::all_of(row.second.begin(), row.second.end(),
                       [&row](const std::string& text) { return text == row.second.front(); });
  });
  return comparison;
}

}  // namespace polyphony::record
