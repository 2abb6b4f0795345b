#include "runs.h"

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/record/host.h>
#include <polyphony/record/run_table.h>
#include "runs_change.h"
#include "runs_import.h"
#include "runs_plot.h"
#include "runs_selection.h"

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

struct RunsArguments {
  std::shared_ptr<RunSelection> selection = std::make_shared<RunSelection>();
  std::string format = "table";
  std::string export_format = "csv";
  std::vector<std::string> fields;  ///< columns of the list; empty: the metrics of the test set
  std::vector<std::int64_t> ids;
  std::string output;  ///< file; empty: standard output
};

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

void emit(const RunsArguments& arguments, const std::string& text) {
  if (arguments.output.empty()) {
    fmt::print("{}", text);
    return;
  }
  write_file(arguments.output, text);
  fmt::print("{}\n", arguments.output);
}

void list(const RunsArguments& arguments, const std::string& format_name) {
  const RunIndex index = open_index(*arguments.selection);
  const RunList runs = selected_runs(index, *arguments.selection);
  for (const std::string& field : arguments.fields) index.check_field(field);
  const TableFormat format = record::parse_table_format(format_name).value();
  const auto fields = arguments.fields.empty() ? record::test_metrics(runs) : arguments.fields;
  if (format != TableFormat::kJson) {
    emit(arguments, table_text(run_table(index, runs, fields, digits_of(format)), format));
    return;
  }
  Json json = Json::array();
  for (const record::IndexedRun* run : runs) {
    json.push_back(run_json(*run));
    for (const std::string& field : arguments.fields) {
      const auto value = index.field(*run, field);
      json.back()["fields"][field] = value ? Json(record::field_text(*value)) : Json();
    }
  }
  emit(arguments, json_text(json));
}

void print_field(const char* name, const std::string& value) {
  if (!value.empty()) fmt::print("{:<10} {}\n", name, value);
}

void show(const RunsArguments& arguments) {
  const RunIndex index = open_index(*arguments.selection);
  const record::IndexedRun& entry = *runs_by_id(index, arguments.ids).front();
  const Run run = index.store().find(entry.run.id).value_or(entry.run);
  if (arguments.format == "json") {
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

void compare(const RunsArguments& arguments) {
  const RunIndex index = open_index(*arguments.selection);
  const RunList runs = runs_by_id(index, arguments.ids);
  const TableFormat format = record::parse_table_format(arguments.format).value();
  const Comparison comparison = compare_runs(index, runs, digits_of(format));
  if (format == TableFormat::kJson) {
    using Rows = std::map<std::string, std::vector<std::string>>;
    const Rows config(comparison.config.begin(), comparison.config.end());
    const Rows metrics(comparison.metrics.begin(), comparison.metrics.end());
    emit(arguments, json_text({{"runs", arguments.ids}, {"config", config}, {"metrics", metrics}}));
    return;
  }
  if (format == TableFormat::kCsv) {  // one table: a CSV file has one header
    auto rows = comparison.config;
    rows.insert(rows.end(), comparison.metrics.begin(), comparison.metrics.end());
    emit(arguments, comparison_table("name", runs, rows).to_csv());
    return;
  }
  const Table config = comparison_table("config", runs, comparison.config);
  const Table metrics = comparison_table("metric", runs, comparison.metrics);
  emit(arguments, table_text(config, format) + "\n" + table_text(metrics, format));
}

using Arguments = std::shared_ptr<RunsArguments>;

void add_format(CLI::App* command, const Arguments& arguments, std::string& format) {
  command->add_option("--format", format, "table, csv, json, markdown or latex")
      ->check(CLI::IsMember({"table", "csv", "json", "markdown", "latex"}));
  command->add_option("-o,--output", arguments->output, "write to this file, whole or not at all");
}

void add_list_options(CLI::App* command, const Arguments& arguments, std::string& format) {
  add_store_option(*command, arguments->selection);
  add_selection_options(*command, arguments->selection);
  add_format(command, arguments, format);
  command->add_option(
      "--metric,--column", arguments->fields,
      "a metric, configuration key or field to show, repeatable (the metrics of the "
      "test set where absent)");
}

}  // namespace

void add_runs_commands(CLI::App& app) {
  auto arguments = std::make_shared<RunsArguments>();
  CLI::App* runs = app.add_subcommand("runs", "list, compare, plot, export and tag recorded runs");
  CLI::App* lister = runs->add_subcommand("list", "runs, newest first (the default)");
  CLI::App* showing = runs->add_subcommand("show", "all that is known of one run");
  CLI::App* comparing = runs->add_subcommand("compare", "where configs differ, and final metrics");
  CLI::App* exporting = runs->add_subcommand("export", "the list with every digit, as a file");
  for (CLI::App* command : {runs, lister}) add_list_options(command, arguments, arguments->format);
  add_list_options(exporting, arguments, arguments->export_format);
  for (CLI::App* command : {showing, comparing}) add_store_option(*command, arguments->selection);
  showing->add_option("--format", arguments->format, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  add_format(comparing, arguments, arguments->format);
  showing->add_option("id", arguments->ids, "the run's id")->required()->expected(1);
  comparing->add_option("id", arguments->ids, "two or more ids")->required()->expected(2, 1000);
  add_runs_plot(*runs);
  add_runs_changes(*runs);
  add_runs_import(*runs);
  runs->require_subcommand(0, 1);
  runs->callback([arguments, runs] {
    if (runs->get_subcommands().empty()) list(*arguments, arguments->format);
  });
  lister->callback([arguments] { list(*arguments, arguments->format); });
  exporting->callback([arguments] { list(*arguments, arguments->export_format); });
  showing->callback([arguments] { show(*arguments); });
  comparing->callback([arguments] { compare(*arguments); });
}

}  // namespace polyphony::app
