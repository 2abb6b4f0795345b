#include <polyphony/record/batch_json.h>

#include <cmath>
#include <limits>

#include <polyphony/base/json.h>

namespace polyphony::record {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// JSON has no NaN and no infinities.
Json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return value;
}

double number(const Json& json) {
  if (json.is_number()) return json.get<double>();
  const std::string text = json.get<std::string>();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  return text == "-inf" ? -std::numeric_limits<double>::infinity()
                        : std::numeric_limits<double>::infinity();
}

Json pairs(const Pairs& values) {
  Json json = Json::array();
  for (const auto& [name, value] : values) json.push_back({name, value});
  return json;
}

Pairs pairs(const Json& json) {
  Pairs values;
  for (const Json& pair : json) {
    values.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
  }
  return values;
}

RunInfo run_of(const Json& json) {
  RunInfo info;
  const auto text = [&json](const char* key) { return json.at(key).get<std::string>(); };
  info.uid = text("uid");
  info.name = text("name");
  info.directory = text("directory");
  info.host = text("host");
  info.pid = json.at("pid").get<std::int64_t>();
  if (json.contains("git_commit")) info.git_commit = text("git_commit");
  info.git_dirty = json.at("git_dirty").get<bool>();
  info.command = text("command");
  info.config_yaml = text("config_yaml");
  info.overrides = json.at("overrides").get<std::vector<std::string>>();
  if (json.contains("seed")) info.seed = json.at("seed").get<std::int64_t>();
  info.verb = text("verb");
  info.group = text("group");
  info.notes = text("notes");
  info.tags = json.at("tags").get<std::vector<std::string>>();
  info.git_diff = text("git_diff");
  info.git_remote = text("git_remote");
  info.environment = pairs(json.at("environment"));
  info.system = pairs(json.at("system"));
  info.source = text("source");
  info.hyper_parameters = pairs(json.at("hyper_parameters"));
  info.model_summary = text("model_summary");
  return info;
}

Json artifact_json(const Artifact& artifact) {
  return {{"kind", artifact.kind},          {"name", artifact.name},
          {"path", artifact.path.string()}, {"sha256", artifact.sha256},
          {"bytes", artifact.bytes},        {"created", artifact.created},
          {"metadata", artifact.metadata},  {"data", artifact.data}};
}

Artifact artifact_of(const Json& json) {
  Artifact artifact;
  artifact.kind = json.at("kind").get<std::string>();
  artifact.name = json.at("name").get<std::string>();
  artifact.path = json.at("path").get<std::string>();
  artifact.sha256 = json.at("sha256").get<std::string>();
  artifact.bytes = json.at("bytes").get<std::int64_t>();
  artifact.created = json.at("created").get<double>();
  artifact.metadata = json.at("metadata").get<std::string>();
  artifact.data = json.at("data").get<std::string>();
  return artifact;
}

void read_lists(const Json& json, StoreBatch& batch) {
  for (const Json& row : json.value("metrics", Json::array())) {
    batch.metrics.push_back({row.at(0).get<std::string>(), row.at(1).get<std::int64_t>(),
                             row.at(2).get<std::int64_t>(), row.at(3).get<double>(),
                             number(row.at(4))});
  }
  for (const Json& row : json.value("system", Json::array())) {
    batch.system.push_back(
        {row.at(0).get<std::string>(), row.at(1).get<double>(), number(row.at(2))});
  }
  for (const Json& row : json.value("console", Json::array())) {
    batch.console.push_back({0, row.at(0).get<double>(), row.at(1).get<std::string>()});
  }
  for (const Json& row : json.value("alerts", Json::array())) {
    batch.alerts.push_back({row.at(0).get<std::string>(), row.at(1).get<std::string>(),
                            row.at(2).get<std::string>(), row.at(3).get<double>()});
  }
  for (const Json& row : json.value("artifacts", Json::array())) {
    batch.artifacts.push_back(artifact_of(row));
  }
}

StoreBatch batch_of(const Json& json) {
  StoreBatch batch;
  batch.first = json.at("first").get<std::int64_t>();
  batch.last = json.at("last").get<std::int64_t>();
  read_lists(json, batch);
  if (json.contains("hyper_parameters")) batch.hyper_parameters = pairs(json["hyper_parameters"]);
  if (json.contains("model_summary")) {
    batch.model_summary = json["model_summary"].get<std::string>();
  }
  if (json.contains("heartbeat")) batch.heartbeat = json["heartbeat"].get<double>();
  if (json.contains("end")) {
    const Json& end = json["end"];
    batch.end = RunEnd{parse_state(end.at("state").get<std::string>()).value_or(State::kFailed),
                       end.at("error").get<std::string>(), end.at("time").get<double>()};
  }
  return batch;
}

}  // namespace

std::string run_line(const RunInfo& info, double started) {
  Json run = {{"uid", info.uid},
              {"name", info.name},
              {"directory", info.directory.string()},
              {"host", info.host},
              {"pid", info.pid},
              {"git_dirty", info.git_dirty},
              {"command", info.command},
              {"config_yaml", info.config_yaml},
              {"overrides", info.overrides},
              {"verb", info.verb},
              {"group", info.group},
              {"notes", info.notes},
              {"tags", info.tags},
              {"git_diff", info.git_diff},
              {"git_remote", info.git_remote},
              {"environment", pairs(info.environment)},
              {"system", pairs(info.system)},
              {"source", info.source},
              {"hyper_parameters", pairs(info.hyper_parameters)},
              {"model_summary", info.model_summary}};
  if (info.git_commit) run["git_commit"] = *info.git_commit;
  if (info.seed) run["seed"] = *info.seed;
  return text_of({{"run", run}, {"started", started}});
}

std::string batch_line(const StoreBatch& batch) {
  Json json = {{"first", batch.first}, {"last", batch.last}};
  for (const Metric& metric : batch.metrics) {
    json["metrics"].push_back(
        {metric.name, metric.step, metric.epoch, metric.wall_time, number(metric.value)});
  }
  for (const SystemMetric& metric : batch.system) {
    json["system"].push_back({metric.name, metric.wall_time, number(metric.value)});
  }
  for (const ConsoleLine& line : batch.console) {
    json["console"].push_back({line.wall_time, line.text});
  }
  for (const Alert& alert : batch.alerts) {
    json["alerts"].push_back({alert.title, alert.text, alert.level, alert.wall_time});
  }
  for (const Artifact& artifact : batch.artifacts) {
    json["artifacts"].push_back(artifact_json(artifact));
  }
  if (batch.hyper_parameters) json["hyper_parameters"] = pairs(*batch.hyper_parameters);
  if (batch.model_summary) json["model_summary"] = *batch.model_summary;
  if (batch.heartbeat) json["heartbeat"] = *batch.heartbeat;
  if (batch.end) {
    json["end"] = {{"state", to_string(batch.end->state)},
                   {"error", batch.end->error},
                   {"time", batch.end->time}};
  }
  return text_of({{"batch", json}});
}

std::optional<JournalLine> parse_journal_line(const std::string& line) {
  const Json json = parse_ordered_json(line, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  JournalLine found;
  try {
    if (json.contains("run")) {
      found.run = run_of(json["run"]);
      found.started = json.at("started").get<double>();
      return found;
    }
    if (json.contains("batch")) {
      found.batch = batch_of(json["batch"]);
      return found;
    }
  } catch (const Json::exception&) {
    // Not what a run writes.
  }
  return std::nullopt;
}

}  // namespace polyphony::record
