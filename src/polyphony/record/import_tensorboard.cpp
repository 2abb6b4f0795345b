#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/record/formats/framing.h>
#include <polyphony/record/import.h>
#include <polyphony/record/proto/tensorboard.pb.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace tb = tensorboard;
namespace {

std::vector<fs::path> event_files(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename();
    if (name.find("tfevents") != std::string::npos) files.push_back(entry.path());
  }
  if (files.empty()) {
    throw DataError(fmt::format("{}: no TensorBoard event files in it", path.string()),
                    "name the directory that holds events.out.tfevents.…");
  }
  std::sort(files.begin(), files.end());
  return files;
}

template <class T>
std::optional<double> first_of(const std::string& bytes) {
  if (bytes.size() != sizeof(T)) return std::nullopt;
  T value = 0;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return static_cast<double>(value);
}

/// A scalar: a simple value, or a tensor of one float or double under the scalars plugin.
std::optional<double> scalar_of(const tb::SummaryValue& value) {
  if (value.has_simple_value()) return value.simple_value();
  if (!value.has_tensor()) return std::nullopt;
  const tb::TensorProto& tensor = value.tensor();
  const bool is_float = tensor.dtype() == 1;
  if (!is_float && tensor.dtype() != 2) return std::nullopt;
  if (tensor.float_val_size() == 1) return tensor.float_val(0);
  if (tensor.double_val_size() == 1) return tensor.double_val(0);
  return is_float ? first_of<float>(tensor.tensor_content())
                  : first_of<double>(tensor.tensor_content());
}

config::Node node_of(const tb::JsonValue& value) {
  switch (value.kind_case()) {
    case tb::JsonValue::kNumberValue:
      return value.number_value();
    case tb::JsonValue::kStringValue:
      return value.string_value();
    case tb::JsonValue::kBoolValue:
      return value.bool_value();
    default:
      return {};
  }
}

class Reader {
 public:
  void read(const fs::path& file) {
    const std::string content = read_file(file);
    TfRecordReader records(content, file.string());
    while (const auto bytes = records.next()) {
      tb::Event event;
      if (!event.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
        throw DataError(fmt::format("{}: an entry is no TensorBoard event", file.string()),
                        "name a file that TensorBoard's writers have written");
      }
      take(event);
    }
    if (records.truncated()) {
      run_.truncated = true;
      ++torn_;
    }
  }

  ImportedRun finish() {
    for (Metric& metric : run_.metrics) {
      if (const auto epoch = epochs_.find(metric.step); epoch != epochs_.end()) {
        metric.epoch = epoch->second;
      }
    }
    if (!hyper_parameters_.entries().empty()) {
      run_.info.config_yaml = config::to_yaml(hyper_parameters_);
    }
    if (!ended_ && run_.truncated) run_.state = State::kInterrupted;
    if (torn_ > 0) run_.left_out = fmt::format("{} torn entries at the end left out", torn_);
    run_.ended = last_;
    return std::move(run_);
  }

  ImportedRun& run() { return run_; }

 private:
  void take(const tb::Event& event) {
    if (run_.started == 0 || event.wall_time() < run_.started) run_.started = event.wall_time();
    last_ = std::max(last_, event.wall_time());
    for (const tb::SummaryValue& value : event.summary().value()) {
      const auto scalar = scalar_of(value);
      if (scalar && value.tag() == "epoch" && std::trunc(*scalar) == *scalar) {
        epochs_[event.step()] = static_cast<std::int64_t>(*scalar);
      } else if (scalar) {
        run_.metrics.push_back({value.tag(), event.step(), 0, event.wall_time(), *scalar});
      } else if (value.metadata().plugin_data().plugin_name() == "hparams") {
        take_hyper_parameters(value.metadata().plugin_data().content());
      }
    }
  }

  void take_hyper_parameters(const std::string& content) {
    tb::HParamsPluginData data;
    if (!data.ParseFromString(content)) return;
    std::map<std::string, tb::JsonValue> sorted(data.session_start_info().hparams().begin(),
                                                data.session_start_info().hparams().end());
    for (const auto& [name, value] : sorted) hyper_parameters_.set(name, node_of(value));
    if (!data.has_session_end_info()) return;
    ended_ = true;
    run_.state = data.session_end_info().status() == 2 ? State::kFailed : State::kFinished;
  }

  ImportedRun run_;
  int torn_ = 0;  ///< files that break off in the middle of an entry
  double last_ = 0;
  bool ended_ = false;
  std::map<std::int64_t, std::int64_t> epochs_;  ///< by step
  config::Node hyper_parameters_ = config::Node::map();
};

}  // namespace

ImportedRun read_tensorboard(const fs::path& path) {
  Reader reader;
  for (const fs::path& file : event_files(path)) reader.read(file);
  ImportedRun& run = reader.run();
  const fs::path whole = fs::absolute(path).lexically_normal();
  run.info.directory = fs::is_directory(whole) ? whole : whole.parent_path();
  if (!run.info.directory.has_filename()) run.info.directory = run.info.directory.parent_path();
  run.info.name = run.info.directory.filename();
  run.info.source = "tensorboard";
  return reader.finish();
}

}  // namespace polyphony::record
