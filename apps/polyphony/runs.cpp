#include "runs.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>
#include <polyphony/record/host.h>
#include <polyphony/record/run_table.h>
#include "runs_change.h"
#include "runs_import.h"
#include "runs_plot.h"
#include "runs_selection.h"
#include "whole_number.h"

namespace polyphony::app {
namespace {

using record::Comparison;
using record::Digits;
using record::Metric;
using record::Run;
using record::RunIndex;
using record::RunList;
using record::TableFormat;
using Json = nlohmann::ordered_json;
using Ids = std::vector<std::int64_t>;

std::string json_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string table_text(const Table& table, TableFormat format) {
  switch (format) {
    case TableFormat::kCsv:
      return table.to_csv();
    case TableFormat::kMarkdown:
      return table.to_markdown();
    case TableFormat::kLatex:
      return table.to_latex();
    default:
      return table.to_text();
  }
}

Digits digits_of(TableFormat format) {
  return format == TableFormat::kCsv || format == TableFormat::kJson ? Digits::kAll
                                                                     : Digits::kShort;
}

TableFormat format_of(const RunSelection& selection, const char* otherwise) {
  return record::parse_table_format(selection.format.value_or(otherwise)).value();
}

void emit(const RunSelection& selection, const std::string& text) {
  if (!selection.output) {
    fmt::print("{}", text);
    return;
  }
  write_file(*selection.output, text);
  fmt::print("{}\n", *selection.output);
}

void list(const RunSelection& selection, const char* usual_format) {
  const RunIndex index = open_index(selection);
  const RunList runs = selected_runs(index, selection);
  for (const std::string& field : selection.fields) index.check_field(field);
  const TableFormat format = format_of(selection, usual_format);
  const auto fields = selection.fields.empty() ? record::test_metrics(runs) : selection.fields;
  if (runs.empty() && selection.narrows()) fmt::print(stderr, "no run matches\n");
  if (format != TableFormat::kJson) {
    emit(selection, table_text(run_table(index, runs, fields, digits_of(format)), format));
    return;
  }
  Json json = Json::array();
  for (const record::IndexedRun* run : runs) {
    json.push_back(run_json(*run));
    for (const std::string& field : selection.fields) {
      const auto value = index.field(*run, field);
      json.back()["fields"][field] = value ? Json(record::field_text(*value)) : Json();
    }
  }
  emit(selection, json_text(json));
}

void print_field(const char* name, const std::string& value) {
  if (!value.empty()) fmt::print("{:<10} {}\n", name, value);
}

/// The one run that `show` is about; null where the options choose none.
const record::IndexedRun* only_run(const RunIndex& index, const RunSelection& selection,
                                   const Ids& ids) {
  const RunList runs = chosen_runs(index, selection, ids, "show");
  if (runs.empty()) fmt::print(stderr, "no run matches\n");
  if (runs.size() > 1) {
    throw UsageError(fmt::format("polyphony runs show: {} runs match, it shows one", runs.size()),
                     "narrow it, for the first one: --limit 1");
  }
  return runs.empty() ? nullptr : runs.front();
}

void show(const RunSelection& selection, const Ids& ids) {
  const TableFormat format = format_of(selection, "table");
  if (format != TableFormat::kText && format != TableFormat::kJson) {
    throw UsageError(fmt::format("polyphony runs show: no --format {}", *selection.format),
                     "table or json");
  }
  const RunIndex index = open_index(selection);
  const record::IndexedRun* found = only_run(index, selection, ids);
  if (found == nullptr) return;
  const record::IndexedRun& entry = *found;
  const Run run = index.store().find(entry.run.id).value_or(entry.run);
  if (format == TableFormat::kJson) {
    Json json = run_json(entry);
    json["config_yaml"] = run.config_yaml;
    fmt::print("{}", json_text(json));
    return;
  }
  print_field("run", fmt::format("{} {}", run.id, run.name));
  print_field("state", run.died ? "interrupted (died)" : to_string(run.state));
  print_field("error", run.error);
  print_field("tags", fmt::format("{}", fmt::join(run.tags, ", ")));
  print_field("group", run.group);
  print_field("notes", run.notes);
  print_field("directory", run.directory.string());
  print_field("started", record::iso_time(run.started));
  print_field("seconds", run.duration ? fmt::format("{:.1f}", *run.duration) : "-");
  print_field("host", fmt::format("{} (pid {})", run.host, run.pid));
  print_field("commit", run.git_commit.value_or("") + (run.git_dirty ? " (changed)" : ""));
  print_field("command", run.command);
  print_field("overrides", fmt::format("{}", fmt::join(run.overrides, " ")));
  if (run.seed) print_field("seed", std::to_string(*run.seed));
  Table table({"metric", "last", "min", "max", "step", "epoch"});
  for (const record::MetricSummary& metric : index.store().summaries(run.id)) {
    table.add_row({metric.last.name, fmt::format("{:.6g}", metric.last.value),
                   fmt::format("{:.6g}", metric.min), fmt::format("{:.6g}", metric.max),
                   std::to_string(metric.last.step), std::to_string(metric.last.epoch)});
  }
  if (table.rows() > 0) fmt::print("\n{}", table.to_text());
  fmt::print("\n{}", run.config_yaml);
}

Table comparison_table(const std::string& title, const RunList& runs,
                       const std::vector<Comparison::Row>& rows) {
  std::vector<std::string> header = {title};
  for (const record::IndexedRun* entry : runs) {
    header.push_back(fmt::format("{} {}", entry->run.id, entry->run.name));
  }
  Table table(header);
  for (const auto& [name, cells] : rows) {
    std::vector<std::string> row = {name};
    row.insert(row.end(), cells.begin(), cells.end());
    table.add_row(row);
  }
  return table;
}

void compare(const RunSelection& selection, const Ids& ids) {
  const RunIndex index = open_index(selection);
  const RunList runs = chosen_runs(index, selection, ids, "compare");
  if (runs.size() < 2) {
    throw UsageError(fmt::format("polyphony runs compare: {} to compare",
                                 runs.empty() ? "no run" : "one run alone"),
                     "name two or more, or choose them with --where, --state or --tag");
  }
  const TableFormat format = format_of(selection, "table");
  const Comparison comparison = compare_runs(index, runs, digits_of(format));
  if (format == TableFormat::kJson) {
    using Rows = std::map<std::string, std::vector<std::string>>;
    const Rows config(comparison.config.begin(), comparison.config.end());
    const Rows metrics(comparison.metrics.begin(), comparison.metrics.end());
    Ids numbers;
    for (const record::IndexedRun* run : runs) numbers.push_back(run->run.id);
    emit(selection, json_text({{"runs", numbers}, {"config", config}, {"metrics", metrics}}));
    return;
  }
  if (format == TableFormat::kCsv) {  // one table: a CSV file has one header
    auto rows = comparison.config;
    rows.insert(rows.end(), comparison.metrics.begin(), comparison.metrics.end());
    emit(selection, comparison_table("name", runs, rows).to_csv());
    return;
  }
  const Table config = comparison_table("config", runs, comparison.config);
  const Table metrics = comparison_table("metric", runs, comparison.metrics);
  emit(selection, table_text(config, format) + "\n" + table_text(metrics, format));
}

}  // namespace

void add_runs_commands(CLI::App& app) {
  auto selection = std::make_shared<RunSelection>();
  auto ids = std::make_shared<Ids>();
  CLI::App* runs = app.add_subcommand("runs", "list, compare, plot, export and tag recorded runs");
  CLI::App* lister = runs->add_subcommand("list", "runs, newest first (the default)");
  CLI::App* showing = runs->add_subcommand("show", "all that is known of one run");
  CLI::App* comparing = runs->add_subcommand("compare", "where configs differ, and final metrics");
  CLI::App* exporting = runs->add_subcommand("export", "the list with every digit, as a file");
  add_run_options(*runs, selection);
  const auto add = [&](CLI::App* verb, OptionSet honoured, std::function<void()> work) {
    add_run_verb(*runs, *verb, selection, honoured, std::move(work));
  };
  using enum Options;
  add(lister, {kStore, kChoice, kFormat, kOutput, kFields}, [=] { list(*selection, "table"); });
  add(exporting, {kStore, kChoice, kFormat, kOutput, kFields}, [=] { list(*selection, "csv"); });
  add(showing, {kStore, kChoice, kFormat}, [=] { show(*selection, *ids); });
  add(comparing, {kStore, kChoice, kFormat, kOutput}, [=] { compare(*selection, *ids); });
  showing->add_option("id", *ids, "the run's number")->transform(whole_number(0))->expected(1);
  comparing->add_option("id", *ids, "two or more numbers")->transform(whole_number(0));
  add_runs_plot(*runs, selection);
  add_runs_changes(*runs, selection);
  add_runs_import(*runs, selection);
  runs->require_subcommand(0, 1);
  runs->callback([selection, runs] {
    if (runs->get_subcommands().empty()) list(*selection, "table");
  });
}

}  // namespace polyphony::app
