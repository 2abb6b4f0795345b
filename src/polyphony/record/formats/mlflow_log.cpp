#include <polyphony/record/formats/mlflow_log.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/record/formats/png.h>
#include <polyphony/record/host.h>
#include <polyphony/record/hyper_parameters.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

constexpr int kRunning = 1;  // MLflow's RunStatus
constexpr int kFinished = 3;
constexpr int kFailed = 4;
constexpr int kKilled = 5;
constexpr std::size_t kLongestParameter = 250;  // Lightning 1.9.5 logs no more of a value

std::string random_digits(std::string_view digits, int count) {
  std::random_device system;
  std::uniform_int_distribution<std::size_t> pick(0, digits.size() - 1);
  std::string text;
  for (int i = 0; i < count; ++i) text += digits[pick(system)];
  return text;
}

std::int64_t milliseconds(double seconds) {
  return static_cast<std::int64_t>(std::llround(seconds * 1000));
}

/// MLflow allows letters, digits, "_-. /" in names.
std::string allowed_name(std::string name) {
  for (char& c : name) {
    const bool fine = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                      std::string_view("_-. /").find(c) != std::string_view::npos;
    if (!fine) c = '_';
  }
  return name;
}

std::string uri(const fs::path& path) { return "file://" + fs::absolute(path).string(); }

std::string text_of(const config::Node* node) {
  return node == nullptr ? "" : config::python_str(*node);
}

}  // namespace

MlflowLog::MlflowLog(MlflowOptions options, const RunInfo& run)
    : options_(std::move(options)), started_(now()) {
  const char* user = std::getenv("USER");
  user_ = user != nullptr ? user : "unknown";
  if (options_.run_name.empty()) options_.run_name = run.name;
  const bool resumes = !options_.run_id.empty();
  if (!resumes) options_.run_id = random_digits("0123456789abcdef", 32);
  const fs::path experiment = experiment_directory();
  directory_ = experiment / options_.run_id;
  if (resumes && !fs::exists(directory_ / "meta.yaml")) {
    throw ConfigError(fmt::format("logger: {} has no run {}", experiment.string(), options_.run_id),
                      "leave run_id out, or name a run of this experiment");
  }
  artifacts_ = uri(options_.artifact_location.empty()
                       ? directory_ / "artifacts"
                       : fs::path(options_.artifact_location) / options_.run_id / "artifacts");
  for (const char* part : {"metrics", "params", "tags", "artifacts"}) {
    make_directory(directory_ / part);
  }
  begin(run);
}

/// The directory of the experiment of that name; made with a new id where there is none.
fs::path MlflowLog::experiment_directory() {
  make_directory(options_.directory);
  for (const auto& entry : fs::directory_iterator(options_.directory)) {
    const fs::path meta = entry.path() / "meta.yaml";
    if (!fs::exists(meta)) continue;
    const config::Node about = config::load_yaml(meta);
    if (text_of(about.find("name")) != options_.experiment) continue;
    experiment_id_ = entry.path().filename();
    return entry.path();
  }
  experiment_id_ = random_digits("123456789", 1) + random_digits("0123456789", 17);
  fs::path path = options_.directory / experiment_id_;
  const std::int64_t time = milliseconds(now());
  config::Node meta = config::Node::map();
  meta.set("artifact_location",
           options_.artifact_location.empty() ? uri(path) : options_.artifact_location);
  meta.set("creation_time", time);
  meta.set("experiment_id", experiment_id_);
  meta.set("last_update_time", time);
  meta.set("lifecycle_stage", "active");
  meta.set("name", options_.experiment);
  write_file(path / "meta.yaml", config::to_yaml(meta));
  return path;
}

void MlflowLog::begin(const RunInfo& run) {
  write_meta(kRunning, std::nullopt);
  Pairs tags = options_.tags;
  tags.emplace_back("mlflow.runName", options_.run_name);
  tags.emplace_back("mlflow.user", user_);
  tags.emplace_back("mlflow.source.name", run.command);
  tags.emplace_back("mlflow.source.type", "LOCAL");
  if (run.git_commit) tags.emplace_back("mlflow.source.git.commit", *run.git_commit);
  if (!run.notes.empty()) tags.emplace_back("mlflow.note.content", run.notes);
  for (const auto& [name, value] : tags) {
    write_file(directory_ / "tags" / allowed_name(name), value);
  }
  if (!run.config_yaml.empty()) write_file(directory_ / "artifacts/config.yaml", run.config_yaml);
  if (!run.git_diff.empty()) write_file(directory_ / "artifacts/diff.patch", run.git_diff);
}

void MlflowLog::write_meta(int status, std::optional<double> ended) const {
  config::Node meta = config::Node::map();
  meta.set("artifact_uri", artifacts_);
  meta.set("end_time", ended ? config::Node(milliseconds(*ended)) : config::Node());
  meta.set("entry_point_name", "");
  meta.set("experiment_id", experiment_id_);
  meta.set("lifecycle_stage", "active");
  meta.set("run_id", options_.run_id);
  meta.set("run_name", options_.run_name);
  meta.set("run_uuid", options_.run_id);
  meta.set("source_name", "");
  meta.set("source_type", 4);  // LOCAL
  meta.set("source_version", "");
  meta.set("start_time", milliseconds(started_));
  meta.set("status", status);
  meta.set("tags", config::Node::list());
  meta.set("user_id", user_);
  write_file(directory_ / "meta.yaml", config::to_yaml(meta));
}

void MlflowLog::add_value(const std::string& name, double time, double value, std::int64_t step) {
  pending_[allowed_name(name)] +=
      fmt::format("{} {} {}\n", milliseconds(time), config::float_repr(value), step);
}

void MlflowLog::log(const Row& row) {
  for (const auto& [name, value] : row.values) {
    add_value(options_.prefix.empty() ? name : options_.prefix + "-" + name, row.time, value,
              row.step);
  }
  add_value("epoch", row.time, static_cast<double>(row.epoch), row.step);
}

void MlflowLog::log_hyper_parameters(const config::Node& values) {
  for (const auto& [name, value] : flat_hyper_parameters(values)) {
    std::string text = config::python_str(value);
    if (text.size() > kLongestParameter) text.resize(kLongestParameter);
    const fs::path file = directory_ / "params" / allowed_name(name);
    if (!fs::exists(file)) write_file(file, text);  // MLflow's parameters never change
  }
}

void MlflowLog::log_model_summary(const std::string& text) {
  write_file(directory_ / "artifacts/model_summary.txt", text);
}

void MlflowLog::log_system(std::span<const SystemMetric> metrics) {
  for (const SystemMetric& metric : metrics) {
    add_value("system/" + metric.name, metric.wall_time, metric.value, system_step_);
  }
  ++system_step_;
}

void MlflowLog::log_artifact(const Artifact& artifact) {
  const fs::path artifacts = directory_ / "artifacts";
  if (!artifact.data.empty()) {
    write_file(artifacts / "figures" / (artifact.name + ".json"), artifact.data);
  } else if (options_.log_model && artifact.kind == "checkpoint") {
    make_directory(artifacts / "checkpoints");
    fs::copy_file(artifact.path, artifacts / "checkpoints" / artifact.path.filename(),
                  fs::copy_options::overwrite_existing);
  }
}

void MlflowLog::log_text(const std::string& tag, const std::string& markdown, std::int64_t) {
  write_file(directory_ / "artifacts" / (allowed_name(tag) + ".md"), markdown);
}

void MlflowLog::log_image(const std::string& tag, const Image& image, std::int64_t) {
  write_file(directory_ / "artifacts" / (allowed_name(tag) + ".png"), encode_png(image));
}

void MlflowLog::flush() {
  while (!pending_.empty()) {
    const auto& [name, lines] = *pending_.begin();
    AppendFile file(directory_ / "metrics" / name, AppendFile::Mode::kContinue);
    file.append(lines);
    file.flush();
    pending_.erase(pending_.begin());
  }
}

void MlflowLog::finish(State state, const std::string& error) {
  flush();
  if (!error.empty()) write_file(directory_ / "artifacts/error.txt", error);
  write_meta(state == State::kFinished      ? kFinished
             : state == State::kInterrupted ? kKilled
                                            : kFailed,
             now());
}

}  // namespace polyphony::record
