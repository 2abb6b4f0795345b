#include "runs.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/table.h>
#include <polyphony/config/dump.h>
#include <polyphony/config/yaml.h>
#include <polyphony/record/host.h>
#include <polyphony/record/store.h>

namespace polyphony::app {
namespace {

using record::Metric;
using record::Run;
using record::Store;
using Json = nlohmann::ordered_json;

struct RunsArguments {
  std::string store;
  std::string state;
  std::int64_t limit = 0;  // 0: all
  std::string format = "table";
  std::vector<std::string> metrics;  // columns of the list; empty: those of the test set
  std::vector<std::int64_t> ids;
};

Store open_store(const RunsArguments& arguments) {
  return Store(arguments.store.empty() ? record::default_store_path()
                                       : std::filesystem::path(arguments.store),
               record::StoreMode::kExisting);
}

Run run_of(const Store& store, std::int64_t id) {
  if (auto run = store.find(id)) return *std::move(run);
  throw UsageError(fmt::format("{}: there is no run {}", store.path().string(), id),
                   "`polyphony runs` lists those there are");
}

std::string state_text(const Run& run) {
  return run.died ? "interrupted (died)" : record::to_string(run.state);
}

std::string seconds_text(const std::optional<double>& seconds) {
  return seconds ? fmt::format("{:.1f}", *seconds) : "-";
}

/// JSON has no NaN and no infinities: these become strings.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return fmt::format("{}", value);
}

Json json_of(const Store& store, const Run& run) {
  Json json = {{"id", run.id},
               {"name", run.name},
               {"state", to_string(run.state)},
               {"died", run.died},
               {"error", run.error},
               {"directory", run.directory.string()},
               {"host", run.host},
               {"pid", run.pid},
               {"command", run.command},
               {"overrides", run.overrides},
               {"git_dirty", run.git_dirty},
               {"started", record::iso_time(run.started)}};
  json["git_commit"] = run.git_commit ? Json(*run.git_commit) : Json();
  json["seed"] = run.seed ? Json(*run.seed) : Json();
  json["ended"] = run.ended ? Json(record::iso_time(*run.ended)) : Json();
  json["duration"] = run.duration ? Json(*run.duration) : Json();
  json["metrics"] = Json::object();
  for (const Metric& metric : store.final_metrics(run.id)) {
    json["metrics"][metric.name] = number(metric.value);
  }
  return json;
}

void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

/// The runs with one column for each metric that any of them has.
/// @param wanted  names; where empty, those of the test set
Table listing(const Store& store, const std::vector<Run>& runs,
              const std::vector<std::string>& wanted) {
  std::vector<std::map<std::string, double>> finals;
  std::vector<std::string> columns = wanted;
  for (const Run& run : runs) {
    auto& values = finals.emplace_back();
    for (const Metric& metric : store.final_metrics(run.id)) {
      values[metric.name] = metric.value;
      const bool shown = wanted.empty() && metric.name.starts_with("test_");
      if (shown && std::find(columns.begin(), columns.end(), metric.name) == columns.end())
        columns.push_back(metric.name);
    }
  }
  std::vector<std::string> header = {"id", "name", "state", "started", "seconds"};
  header.insert(header.end(), columns.begin(), columns.end());
  header.emplace_back("directory");
  Table table(header);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Run& run = runs[i];
    std::vector<std::string> row = {std::to_string(run.id), run.name, state_text(run),
                                    record::iso_time(run.started), seconds_text(run.duration)};
    for (const std::string& column : columns) {
      const auto value = finals[i].find(column);
      row.push_back(value == finals[i].end() ? "-" : fmt::format("{:.4f}", value->second));
    }
    row.push_back(run.directory.string());
    table.add_row(row);
  }
  return table;
}

void list(const RunsArguments& arguments) {
  const Store store = open_store(arguments);
  record::RunQuery query;
  if (!arguments.state.empty()) query.state = record::parse_state(arguments.state);
  if (arguments.limit > 0) query.limit = arguments.limit;
  const std::vector<Run> runs = store.runs(query);
  if (arguments.format == "json") {
    Json json = Json::array();
    for (const Run& run : runs) json.push_back(json_of(store, run));
    print_json(json);
    return;
  }
  fmt::print("{}", listing(store, runs, arguments.metrics).to_text());
}

void show(const RunsArguments& arguments) {
  const Store store = open_store(arguments);
  const Run run = run_of(store, arguments.ids.front());
  if (arguments.format == "json") {
    Json json = json_of(store, run);
    json["config_yaml"] = run.config_yaml;
    print_json(json);
    return;
  }
  const auto field = [](const char* name, const std::string& value) {
    if (!value.empty()) fmt::print("{:<10} {}\n", name, value);
  };
  field("run", fmt::format("{} {}", run.id, run.name));
  field("state", state_text(run));
  field("error", run.error);
  field("directory", run.directory.string());
  field("started", record::iso_time(run.started));
  field("seconds", seconds_text(run.duration));
  field("host", fmt::format("{} (pid {})", run.host, run.pid));
  field("commit", run.git_commit.value_or("") + (run.git_dirty ? " (changed)" : ""));
  field("command", run.command);
  field("overrides", fmt::format("{}", fmt::join(run.overrides, " ")));
  if (run.seed) field("seed", std::to_string(*run.seed));
  Table table({"metric", "value", "step", "epoch"});
  for (const Metric& metric : store.final_metrics(run.id)) {
    table.add_row({metric.name, fmt::format("{:.6g}", metric.value), std::to_string(metric.step),
                   std::to_string(metric.epoch)});
  }
  if (table.rows() > 0) fmt::print("\n{}", table.to_text());
  fmt::print("\n{}", run.config_yaml);
}

using Row = std::vector<std::string>;

/// Every leaf under its dotted path.
void flatten(const config::Node& node, const std::string& path,
             std::map<std::string, std::string>& leaves) {
  const auto below = [&path](const std::string& key) {
    return path.empty() ? key : path + "." + key;
  };
  if (node.is_map() && !node.entries().empty()) {
    for (const auto& [key, value] : node.entries()) {
      flatten(value, below(key.is_string() ? key.as_string() : config::to_json(key)), leaves);
    }
  } else if (node.is_list() && !node.items().empty()) {
    for (std::size_t i = 0; i < node.items().size(); ++i) {
      flatten(node.items()[i], below(std::to_string(i)), leaves);
    }
  } else {
    leaves[path] = node.is_string() ? node.as_string() : config::to_json(node);
  }
}

/// Rows name -> one cell a run, "-" where a run has none.
std::map<std::string, Row> side_by_side(
    const std::vector<std::map<std::string, std::string>>& runs) {
  std::map<std::string, Row> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const auto& [name, value] : runs[i]) {
      rows.try_emplace(name, Row(runs.size(), "-")).first->second[i] = value;
    }
  }
  return rows;
}

void print_rows(const std::string& title, const std::vector<Run>& runs,
                const std::map<std::string, Row>& rows) {
  Row header = {title};
  for (const Run& run : runs) header.push_back(fmt::format("{} {}", run.id, run.name));
  Table table(header);
  for (const auto& [name, cells] : rows) {
    Row row = {name};
    row.insert(row.end(), cells.begin(), cells.end());
    table.add_row(row);
  }
  fmt::print("{}", table.to_text());
}

void compare(const RunsArguments& arguments) {
  const Store store = open_store(arguments);
  std::vector<Run> runs;
  std::vector<std::map<std::string, std::string>> configs, metrics;
  for (const std::int64_t id : arguments.ids) {
    runs.push_back(run_of(store, id));
    flatten(config::parse_yaml(runs.back().config_yaml, fmt::format("run {}", id)), "",
            configs.emplace_back());
    auto& values = metrics.emplace_back();
    for (const Metric& metric : store.final_metrics(id)) {
      values[metric.name] = fmt::format("{:.6g}", metric.value);
    }
  }
  auto differing = side_by_side(configs);
  std::erase_if(differing, [](const auto& row) {
    return std::all_of(row.second.begin(), row.second.end(),
                       [&row](const std::string& cell) { return cell == row.second.front(); });
  });
  const auto values = side_by_side(metrics);
  if (arguments.format == "json") {
    print_json({{"runs", arguments.ids}, {"config", differing}, {"metrics", values}});
    return;
  }
  print_rows("config", runs, differing);
  fmt::print("\n");
  print_rows("metric", runs, values);
}

}  // namespace

void add_runs_commands(CLI::App& app) {
  auto arguments = std::make_shared<RunsArguments>();
  CLI::App* runs = app.add_subcommand("runs", "list, show and compare recorded runs");
  const auto add_common = [arguments](CLI::App* command) {
    command->add_option("--store", arguments->store,
                        "the run store (POLYPHONY_STORE, else logs/polyphony.db)");
    command->add_option("--format", arguments->format, "table or json")
        ->check(CLI::IsMember({"table", "json"}));
  };
  const auto add_filters = [arguments](CLI::App* command) {
    command->add_option("--state", arguments->state, "only runs in this state")
        ->check(CLI::IsMember({"running", "finished", "failed", "interrupted"}));
    command->add_option("--limit", arguments->limit, "at most so many, newest first")
        ->check(CLI::PositiveNumber);
    command->add_option("--metric", arguments->metrics,
                        "a metric to show, repeatable (those of the test set where absent)");
  };
  CLI::App* lister = runs->add_subcommand("list", "runs, newest first (the default)");
  CLI::App* showing = runs->add_subcommand("show", "all that is known of one run");
  CLI::App* comparing = runs->add_subcommand("compare", "where configs differ, and final metrics");
  for (CLI::App* command : {runs, lister, showing, comparing}) add_common(command);
  for (CLI::App* command : {runs, lister}) add_filters(command);
  showing->add_option("id", arguments->ids, "the run's id")->required()->expected(1);
  comparing->add_option("id", arguments->ids, "two or more ids")->required()->expected(2, 1000);
  runs->require_subcommand(0, 1);
  runs->callback([arguments, runs] {
    if (runs->get_subcommands().empty()) list(*arguments);
  });
  lister->callback([arguments] { list(*arguments); });
  showing->callback([arguments] { show(*arguments); });
  comparing->callback([arguments] { compare(*arguments); });
}

}  // namespace polyphony::app
