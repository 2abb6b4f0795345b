#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/record/formats/framing.h>
#include <polyphony/record/import.h>
#include <polyphony/record/proto/wandb.pb.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

fs::path log_of(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".wandb") return entry.path();
  }
  throw DataError(fmt::format("{}: no W&B run: it holds no run-ID.wandb", path.string()),
                  "name a directory offline-run-DATE_TIME-ID or run-DATE_TIME-ID");
}

double seconds(const wandb::Time& time) {
  return static_cast<double>(time.seconds()) + time.nanos() * 1e-9;
}

/// A number as Python's json writes it, NaN and infinities too; nullopt for anything else.
std::optional<double> number_of(const std::string& json) {
  if (json == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (json.empty() || json.front() == '"') return std::nullopt;
  return config::python_float(json);
}

std::string name_of(const wandb::Item& item) {
  if (!item.key().empty()) return item.key();
  return fmt::format("{}", fmt::join(item.nested_key(), "."));
}

/// JSON is YAML where it holds no NaN; what cannot be read stays text.
config::Node node_of(const std::string& json, const std::string& source) {
  try {
    return config::parse_yaml(json, source);
  } catch (const Error&) {
    return config::Node(json);
  }
}

class Reader {
 public:
  explicit Reader(const fs::path& file) : source_(file.string()) {
    const std::string content = read_file(file);
    WandbLogReader records(content, source_);
    while (const auto bytes = records.next()) {
      wandb::Record record;
      if (!record.ParseFromString(*bytes)) {
        throw DataError(
            fmt::format("{}: an entry before byte {} is no W&B record", source_, records.offset()),
            "name a file that W&B's client has written");
      }
      take(record);
    }
    run_.truncated = records.truncated();
    if (run_.truncated) run_.left_out = "1 torn entry at the end left out";
  }

  ImportedRun finish() {
    if (!config_.entries().empty()) run_.info.config_yaml = config::to_yaml(config_);
    if (!exited_) run_.state = State::kInterrupted;
    if (exited_ && run_.started > 0) run_.ended = run_.started + runtime_;
    if (!exited_ && last_ > 0) run_.ended = last_;
    return std::move(run_);
  }

 private:
  void take(const wandb::Record& record) {
    switch (record.record_type_case()) {
      case wandb::Record::kRun:
        take_run(record.run());
        return;
      case wandb::Record::kConfig:
        take_config(record.config());
        return;
      case wandb::Record::kHistory:
        take_history(record.history());
        return;
      case wandb::Record::kStats:
        for (const wandb::Item& item : record.stats().item()) {
          if (const auto value = number_of(item.value_json())) {
            run_.system.push_back({name_of(item), seconds(record.stats().timestamp()), *value});
          }
        }
        return;
      case wandb::Record::kOutput:
        take_output(record.output());
        return;
      case wandb::Record::kOutputRaw:
        take_output(record.output_raw());
        return;
      case wandb::Record::kAlert:
        run_.alerts.push_back(
            {record.alert().title(), record.alert().text(), record.alert().level(), last_});
        return;
      case wandb::Record::kExit:
        exited_ = true;
        runtime_ = record.exit().runtime();
        run_.state = record.exit().exit_code() == 0 ? State::kFinished : State::kFailed;
        return;
      default:
        return;
    }
  }

  void take_run(const wandb::Run& run) {
    run_.info.name = run.display_name().empty() ? run.run_id() : run.display_name();
    run_.info.group = run.run_group();
    run_.info.notes = run.notes();
    run_.info.host = run.host();
    run_.info.tags.assign(run.tags().begin(), run.tags().end());
    if (!run.git().commit().empty()) run_.info.git_commit = run.git().commit();
    run_.info.git_remote = run.git().remote_url();
    run_.started = seconds(run.start_time());
    take_config(run.config());
  }

  void take_config(const wandb::Config& config) {
    for (const wandb::Item& item : config.update()) {
      const std::string name = name_of(item);
      if (!name.starts_with("_wandb")) config_.set(name, node_of(item.value_json(), source_));
    }
    for (const wandb::Item& item : config.remove()) config_.erase(name_of(item));
  }

  void take_history(const wandb::History& history) {
    Metric common;
    common.step = history.step().num();
    std::optional<double> global_step;
    for (const wandb::Item& item : history.item()) {
      const auto value = number_of(item.value_json());
      if (!value || !std::isfinite(*value)) continue;
      const std::string name = name_of(item);
      if (name == "_step") common.step = static_cast<std::int64_t>(*value);
      if (name == "_timestamp") common.wall_time = *value;
      if (name == "epoch") common.epoch = static_cast<std::int64_t>(*value);
      if (name == "trainer/global_step") global_step = value;
    }
    if (global_step) common.step = static_cast<std::int64_t>(*global_step);
    last_ = std::max(last_, common.wall_time);
    for (const wandb::Item& item : history.item()) {
      const std::string name = name_of(item);
      if (name.starts_with("_") || name == "epoch" || name == "trainer/global_step") continue;
      if (const auto value = number_of(item.value_json())) {
        Metric metric = common;
        metric.name = name;
        metric.value = *value;
        run_.metrics.push_back(std::move(metric));
      }
    }
  }

  /// Raw output comes in pieces; a line is whole with its end.
  void take_output(const wandb::Output& output) {
    pending_ += output.line();
    for (std::size_t end = pending_.find('\n'); end != std::string::npos;
         end = pending_.find('\n')) {
      run_.console.push_back({0, seconds(output.timestamp()), pending_.substr(0, end)});
      pending_.erase(0, end + 1);
    }
  }

  std::string source_;
  ImportedRun run_;
  config::Node config_ = config::Node::map();
  std::string pending_;
  bool exited_ = false;
  double runtime_ = 0;
  double last_ = 0;
};

}  // namespace

ImportedRun read_wandb(const fs::path& path) {
  const fs::path file = log_of(path);
  ImportedRun run = Reader(file).finish();
  run.info.source = "wandb";
  run.info.directory = fs::absolute(file).parent_path().lexically_normal();
  return run;
}

}  // namespace polyphony::record
