#include <polyphony/record/formats/wandb_log.h>

#include <array>
#include <cmath>
#include <ctime>
#include <random>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/record/host.h>
#include <polyphony/record/proto/wandb.pb.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

/// The version of W&B's client whose files these are.
constexpr const char* kClientVersion = "0.15.9";

/// Python's json.dumps of a float, which W&B's readers take back: NaN and infinities too.
std::string json_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return config::float_repr(value);
}

std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_of(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string local_time(double seconds, const char* format) {
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm parts{};
  localtime_r(&whole, &parts);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), format, &parts);
  return text.data();
}

wandb::Time time_of(double seconds) {
  wandb::Time time;
  time.set_seconds(static_cast<std::int64_t>(std::floor(seconds)));
  time.set_nanos(static_cast<std::int32_t>((seconds - std::floor(seconds)) * 1e9));
  return time;
}

template <class Owner>
void add_item(Owner* items, const std::string& key, const std::string& json) {
  wandb::Item& item = *items->Add();
  item.set_key(key);
  item.set_value_json(json);
}

const std::string* find(const Pairs& pairs, const std::string& name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// The step behind the last one of a log, as far as it can be read.
std::int64_t next_history_step(const fs::path& file) {
  std::int64_t next = 0;
  try {
    const std::string content = read_file(file);
    WandbLogReader reader(content, file.string());
    while (const auto bytes = reader.next()) {
      wandb::Record record;
      if (!record.ParseFromString(*bytes) || !record.has_history()) continue;
      next = std::max(next, record.history().step().num() + 1);
    }
  } catch (const DataError& damage) {
    warn("W&B: the run goes on behind step {}, the last one that can be read of the earlier: {}",
         next, damage.what());
  }
  return next;
}

/// W&B's name of a measurement; "" for those it has none for.
std::string stat_name(const std::string& name) {
  if (name == "cpu_percent") return "cpu";
  if (name == "memory_percent") return "memory_percent";
  if (name == "rss_bytes") return "proc.memory.rssMB";
  if (name == "threads") return "proc.cpu.threads";
  return name;
}

}  // namespace

std::string new_wandb_id() {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::random_device system;
  std::uniform_int_distribution<std::size_t> pick(0, kLetters.size() - 1);
  std::string id;
  for (int i = 0; i < 8; ++i) id += kLetters[pick(system)];
  return id;
}

std::optional<fs::path> find_wandb_run(const fs::path& save_dir, const std::string& id) {
  std::optional<fs::path> newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(save_dir / "wandb", error)) {
    const fs::path log = entry.path() / fmt::format("run-{}.wandb", id);
    // Their names rise with date and time.
    if (fs::exists(log, error) && (!newest || *newest < log)) newest = log;
  }
  return newest;
}

WandbLog::WandbLog(WandbOptions options, const RunInfo& run)
    : options_(std::move(options)), run_(run), started_(now()) {
  if (options_.id.empty()) options_.id = new_wandb_id();
  if (options_.resume) {
    if (const auto earlier = find_wandb_run(options_.save_dir, options_.id)) {
      history_step_ = next_history_step(*earlier);
    }
  }
  const fs::path root = options_.save_dir / "wandb";
  std::string stamp = local_time(started_, "%Y%m%d_%H%M%S");
  directory_ = root / fmt::format("offline-run-{}-{}", stamp, options_.id);
  make_directory(directory_ / "files");
  log_.emplace(directory_ / fmt::format("run-{}.wandb", options_.id), AppendFile::Mode::kNew);
  output_.emplace(directory_ / "files" / "output.log", AppendFile::Mode::kContinue);
  begin(run);
}

WandbLog::~WandbLog() = default;

void WandbLog::write(wandb::Record& record) {
  record.set_num(++records_);
  log_->append(framing_.frame(record.SerializeAsString()));
}

void WandbLog::begin(const RunInfo& info) {
  wandb::Record header;
  header.mutable_header();
  write(header);
  wandb::Record record;
  wandb::Run& run = *record.mutable_run();
  run.set_run_id(options_.id);
  run.set_entity(options_.entity);
  run.set_project(options_.project);
  run.set_display_name(options_.display_name);
  run.set_run_group(options_.group);
  run.set_job_type(options_.job_type);
  run.set_notes(options_.notes);
  for (const std::string& tag : options_.tags) run.add_tags(tag);
  run.set_host(info.host);
  run.set_starting_step(history_step_);
  run.set_resumed(history_step_ > 0);
  *run.mutable_start_time() = time_of(started_);
  run.mutable_telemetry()->set_cli_version(kClientVersion);
  if (info.git_commit) {
    run.mutable_git()->set_commit(*info.git_commit);
    run.mutable_git()->set_remote_url(info.git_remote);
  }
  run.mutable_config();
  write(record);
  // Lightning's: every value is drawn over the optimizer's steps.
  for (const char* name : {"trainer/global_step", "*"}) {
    wandb::Record defined;
    wandb::Metric& metric = *defined.mutable_metric();
    if (*name == '*') {
      metric.set_glob_name(name);
      metric.set_step_metric("trainer/global_step");
      metric.mutable_options()->set_step_sync(true);
    } else {
      metric.set_name(name);
    }
    metric.mutable_options()->set_defined(true);
    write(defined);
  }
  write_metadata(info, "running");
  std::string requirements;
  for (const auto& [name, version] : info.system) {
    if (name.starts_with("version."))
      requirements += fmt::format("{}=={}\n", name.substr(8), version);
  }
  write_file(directory_ / "files" / "requirements.txt", requirements);
  for (const char* name : {"wandb-metadata.json", "requirements.txt"}) add_file(name, false);
  if (!info.git_diff.empty()) {
    write_file(directory_ / "files" / "diff.patch", info.git_diff);
    add_file("diff.patch", false);
  }
  for (const char* name : {"output.log", "config.yaml", "wandb-summary.json"}) add_file(name, true);
  write_config();
  write_summary();
  log_->flush();
}

void WandbLog::add_file(const std::string& name, bool at_end) {
  wandb::Record record;
  wandb::FilesItem& file = *record.mutable_files()->add_files();
  file.set_path(name);
  file.set_policy(at_end ? wandb::FilesItem::END : wandb::FilesItem::NOW);
  write(record);
}

void WandbLog::write_metadata(const RunInfo& run, const char* state) const {
  const auto system = [&run](const std::string& name) {
    const std::string* value = find(run.system, name);
    return value != nullptr ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json json;
  json["os"] = system("os");
  json["heartbeatAt"] = iso_time(now());
  json["startedAt"] = iso_time(started_);
  json["args"] = run.overrides;
  json["state"] = state;
  json["program"] = run.command;
  if (run.git_commit) json["git"] = {{"remote", run.git_remote}, {"commit", *run.git_commit}};
  json["root"] = fs::current_path().string();
  json["host"] = run.host;
  json["executable"] = "polyphony";
  json["cpu"] = system("cpu");
  json["cpu_count"] =
      std::atoll(find(run.system, "cores") != nullptr ? find(run.system, "cores")->c_str() : "0");
  if (const std::string* bytes = find(run.system, "memory_bytes")) {
    json["memory"] = {{"total", std::strtod(bytes->c_str(), nullptr) / (1 << 30)}};
  }
  write_file(directory_ / "files" / "wandb-metadata.json", json_of(json));
}

void WandbLog::write_config() {
  config::Node root = config::Node::map();
  root.set("wandb_version", 1);
  const auto described = [](config::Node value) {
    config::Node entry = config::Node::map();
    entry.set("desc", config::Node());
    entry.set("value", std::move(value));
    return entry;
  };
  config::Node about = config::Node::map();
  about.set("cli_version", kClientVersion);
  about.set("framework", "torch");
  root.set("_wandb", described(std::move(about)));
  for (const auto& [name, value] : config_) root.set(name, described(value));
  write_file(directory_ / "files" / "config.yaml", config::to_yaml(root));
}

void WandbLog::write_summary() {
  std::string text = "{";
  for (const auto& [name, json] : summary_) {
    text += fmt::format("{}{}: {}", text.size() > 1 ? ", " : "", json_text(name), json);
  }
  write_file(directory_ / "files" / "wandb-summary.json", text + "}");
}

void WandbLog::log(const Row& row) {
  wandb::Record record;
  wandb::History& history = *record.mutable_history();
  const auto add = [&](const std::string& name, const std::string& json) {
    add_item(history.mutable_item(), name, json);
    summary_[name] = json;
  };
  for (const auto& [name, value] : row.values) {
    add(options_.prefix.empty() ? name : options_.prefix + "-" + name, json_number(value));
  }
  add("epoch", std::to_string(row.epoch));
  add("trainer/global_step", std::to_string(row.step));
  add("_timestamp", json_number(row.time));
  add("_runtime", json_number(row.time - started_));
  add("_step", std::to_string(history_step_));
  history.mutable_step()->set_num(history_step_++);
  write(record);
}

void WandbLog::log_hyper_parameters(const config::Node& values) {
  if (!values.is_map()) return;
  wandb::Record record;
  wandb::Config& update = *record.mutable_config();
  for (const auto& [key, value] : values.entries()) {
    const std::string name = config::python_str(key);
    add_item(update.mutable_update(), name, config::to_json(value));
    std::erase_if(config_, [&name](const auto& known) { return known.first == name; });
    config_.emplace_back(name, value);
  }
  write(record);
  write_config();
}

void WandbLog::log_system(std::span<const SystemMetric> metrics) {
  if (metrics.empty()) return;
  wandb::Record record;
  wandb::Stats& stats = *record.mutable_stats();
  *stats.mutable_timestamp() = time_of(metrics.front().wall_time);
  for (const SystemMetric& metric : metrics) {
    const double scale = metric.name == "rss_bytes" ? 1.0 / (1 << 20) : 1.0;
    add_item(stats.mutable_item(), stat_name(metric.name), json_number(metric.value * scale));
  }
  write(record);
}

void WandbLog::log_console(std::span<const ConsoleLine> lines) {
  for (const ConsoleLine& line : lines) {
    wandb::Record record;
    wandb::Output& output = *record.mutable_output();
    output.set_output_type(wandb::Output::STDOUT);
    *output.mutable_timestamp() = time_of(line.wall_time);
    output.set_line(line.text + "\n");
    write(record);
    output_->append(line.text + "\n");
  }
}

void WandbLog::log_alert(const Alert& alert) {
  wandb::Record record;
  wandb::Alert& out = *record.mutable_alert();
  out.set_title(alert.title);
  out.set_text(alert.text);
  out.set_level(alert.level);
  out.set_wait_duration(60);  // wandb.alert's default: of one title at most one a minute
  write(record);
}

void WandbLog::log_artifact(const Artifact& artifact) {
  const fs::path files = directory_ / "files";
  if (!artifact.data.empty()) {
    const std::string name = "figures/" + artifact.name + ".json";
    write_file(files / name, artifact.data);
    add_file(name, false);
  } else if (options_.log_model && artifact.kind == "checkpoint") {
    const fs::path name = fs::path("checkpoints") / artifact.path.filename();
    make_directory(files / "checkpoints");
    fs::copy_file(artifact.path, files / name, fs::copy_options::overwrite_existing);
    add_file(name.string(), true);
  }
}

void WandbLog::flush() {
  log_->flush();
  output_->flush();
}

void WandbLog::finish(State state, const std::string& error) {
  write_summary();
  write_metadata(run_, to_string(state));
  if (!std::exchange(ended_, true)) write_end(state, error);
  flush();
}

void WandbLog::write_end(State state, const std::string& error) {
  if (!error.empty()) {
    const ConsoleLine line{0, now(), error};
    log_console({&line, 1});
  }
  wandb::Record summary;
  wandb::Summary& values = *summary.mutable_summary();  // a record says what it is, empty too
  for (const auto& [name, json] : summary_) add_item(values.mutable_update(), name, json);
  write(summary);
  wandb::Record exit;
  exit.mutable_exit()->set_exit_code(state == State::kFinished ? 0 : 1);
  exit.mutable_exit()->set_runtime(static_cast<std::int32_t>(now() - started_));
  write(exit);
  // As W&B's own: the final record sends the exit, the footer ends the log.
  wandb::Record final;
  final.mutable_final();
  write(final);
  wandb::Record footer;
  footer.mutable_footer();
  write(footer);
}

}  // namespace polyphony::record
