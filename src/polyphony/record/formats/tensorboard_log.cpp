#include <polyphony/record/formats/tensorboard_log.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/files.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/record/formats/framing.h>
#include <polyphony/record/formats/png.h>
#include <polyphony/record/host.h>
#include <polyphony/record/hyper_parameters.h>
#include <polyphony/record/proto/tensorboard.pb.h>

namespace polyphony::record {
namespace tb = tensorboard;
namespace {

constexpr int kString = 7;  // TensorFlow's DT_STRING

/// As TensorBoard's own writer names them; the last part tells files of one process apart.
std::string file_name() {
  static std::atomic<int> count = 0;
  return fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<std::int64_t>(now()),
                     host_name(), process_id(), count++);
}

tb::Event event_at(double time, std::int64_t step) {
  tb::Event event;
  event.set_wall_time(time);
  event.set_step(step);
  return event;
}

tb::SummaryValue& add_value(tb::Event& event, const std::string& tag) {
  tb::SummaryValue& value = *event.mutable_summary()->add_value();
  value.set_tag(tag);
  return value;
}

void set_plugin(tb::SummaryValue& value, const std::string& plugin, const std::string& content) {
  tb::PluginData& data = *value.mutable_metadata()->mutable_plugin_data();
  data.set_plugin_name(plugin);
  data.set_content(content);
}

/// A value as the hparams plugin knows them: numbers, booleans, and the rest as Python's str().
tb::JsonValue json_value(const config::Node& node, int& type) {
  tb::JsonValue value;
  using Kind = config::Node::Kind;
  if (node.kind() == Kind::kBool) {
    value.set_bool_value(node.as_bool());
    type = 2;
  } else if ((node.kind() == Kind::kInt && !node.is_big_int()) || node.kind() == Kind::kFloat) {
    value.set_number_value(node.as_float());
    type = 3;
  } else {
    value.set_string_value(config::python_str(node));
    type = 1;
  }
  return value;
}

/// "loss" for train_loss, val_loss and test_loss: what one chart shows together.
std::string quantity(const std::string& tag) {
  for (const char* stage : {"train_", "val_", "test_"}) {
    if (tag.starts_with(stage)) return tag.substr(std::string_view(stage).size());
  }
  return "";
}

}  // namespace

TensorBoardLog::TensorBoardLog(TensorBoardOptions options, const RunInfo& run)
    : options_(std::move(options)) {
  out_.emplace(options_.directory / file_name(), AppendFile::Mode::kNew);
  tb::Event first = event_at(now(), 0);
  first.set_file_version("brain.Event:2");
  first.mutable_source_metadata()->set_writer("polyphony.loggers.TensorBoardLogger");
  write(first);
  if (!run.config_yaml.empty()) log_text("config", "```yaml\n" + run.config_yaml + "```", 0);
  if (!run.command.empty()) log_text("command", "`" + run.command + "`", 0);
}

TensorBoardLog::~TensorBoardLog() = default;

std::string TensorBoardLog::tag_of(const std::string& name) const {
  return options_.prefix.empty() ? name : options_.prefix + "-" + name;
}

void TensorBoardLog::write(const tb::Event& event) {
  out_->append(tfrecord_frame(event.SerializeAsString()));
}

void TensorBoardLog::log(const Row& row) {
  tb::Event event = event_at(row.time, row.step);
  for (const auto& [name, number] : row.values) {
    const std::string tag = tag_of(name);
    add_value(event, tag).set_simple_value(static_cast<float>(number));
    if (std::find(tags_.begin(), tags_.end(), tag) == tags_.end()) tags_.push_back(tag);
  }
  add_value(event, tag_of("epoch")).set_simple_value(static_cast<float>(row.epoch));
  write(event);
  step_ = row.step;
}

void TensorBoardLog::log_hyper_parameters(const config::Node& values) {
  write_file(options_.directory / "hparams.yaml",
             values.is_map() && !values.entries().empty() ? config::to_yaml(values) : "{}\n");
  if (!options_.default_hp_metric) return;
  const double time = now();
  tb::Event metric = event_at(time, 0);
  add_value(metric, tag_of("hp_metric")).set_simple_value(-1);
  write(metric);
  tb::HParamsPluginData experiment;
  tb::HParamsPluginData session;
  tb::Experiment& about = *experiment.mutable_experiment();
  tb::SessionStartInfo& start = *session.mutable_session_start_info();
  start.set_start_time_secs(time);
  for (const auto& [name, node] : flat_hyper_parameters(values)) {
    int type = 0;
    (*start.mutable_hparams())[name] = json_value(node, type);
    tb::HParamInfo& info = *about.add_hparam_infos();
    info.set_name(name);
    info.set_type(type);
  }
  about.add_metric_infos()->mutable_name()->set_tag(tag_of("hp_metric"));
  write_plugin("_hparams_/experiment", "hparams", experiment.SerializeAsString(), time);
  write_plugin("_hparams_/session_start_info", "hparams", session.SerializeAsString(), time);
  has_hyper_parameters_ = true;
}

void TensorBoardLog::write_plugin(const std::string& tag, const std::string& plugin,
                                  const std::string& content, double time) {
  tb::Event event = event_at(time, 0);
  set_plugin(add_value(event, tag), plugin, content);
  write(event);
}

void TensorBoardLog::log_model_summary(const std::string& text) {
  log_text("model_summary", "```\n" + text + "```", 0);
}

void TensorBoardLog::log_alert(const Alert& alert) {
  log_text("alerts", fmt::format("**{}: {}**\n\n{}", alert.level, alert.title, alert.text), step_);
}

void TensorBoardLog::log_artifact(const Artifact& artifact) {
  if (artifact.data.empty()) return;
  log_text("figures/" + artifact.name, "```json\n" + artifact.data + "\n```", step_);
}

void TensorBoardLog::log_histogram(const std::string& tag, const Histogram& values,
                                   std::int64_t step) {
  tb::Event event = event_at(now(), step);
  tb::HistogramProto& histogram = *add_value(event, tag_of(tag)).mutable_histo();
  histogram.set_min(values.min);
  histogram.set_max(values.max);
  histogram.set_num(values.count);
  histogram.set_sum(values.sum);
  histogram.set_sum_squares(values.sum_squares);
  for (const double limit : values.limits) histogram.add_bucket_limit(limit);
  for (const double count : values.counts) histogram.add_bucket(count);
  write(event);
}

void TensorBoardLog::log_text(const std::string& tag, const std::string& markdown,
                              std::int64_t step) {
  tb::Event event = event_at(now(), step);
  tb::SummaryValue& value = add_value(event, tag_of(tag) + "/text_summary");
  set_plugin(value, "text", tb::TextPluginData().SerializeAsString());
  tb::TensorProto& tensor = *value.mutable_tensor();
  tensor.set_dtype(kString);
  tensor.mutable_tensor_shape()->add_dim()->set_size(1);
  tensor.add_string_val(markdown);
  write(event);
}

void TensorBoardLog::log_image(const std::string& tag, const Image& image, std::int64_t step) {
  tb::Event event = event_at(now(), step);
  tb::SummaryImage& summary = *add_value(event, tag_of(tag)).mutable_image();
  summary.set_width(image.width);
  summary.set_height(image.height);
  summary.set_colorspace(3);
  summary.set_encoded_image_string(encode_png(image));
  write(event);
}

/// Curves of one quantity in one chart, e.g. train_loss and val_loss.
void TensorBoardLog::write_layout() {
  std::map<std::string, std::vector<std::string>> charts;
  for (const std::string& tag : tags_) {
    if (const std::string name = quantity(tag); !name.empty()) charts[name].push_back(tag);
  }
  tb::Layout layout;
  tb::Category& category = *layout.add_category();
  category.set_title("stages");
  for (const auto& [name, tags] : charts) {
    tb::Chart& chart = *category.add_chart();
    chart.set_title(name);
    for (const std::string& tag : tags) chart.mutable_multiline()->add_tag(tag);
  }
  tags_in_layout_ = tags_.size();
  if (charts.empty()) return;
  tb::Event event = event_at(now(), 0);
  tb::SummaryValue& value = add_value(event, "custom_scalars__config__");
  set_plugin(value, "custom_scalars", "");
  value.mutable_tensor()->set_dtype(kString);
  value.mutable_tensor()->mutable_tensor_shape();
  value.mutable_tensor()->add_string_val(layout.SerializeAsString());
  write(event);
}

void TensorBoardLog::flush() {
  if (tags_.size() != tags_in_layout_) write_layout();
  out_->flush();
}

void TensorBoardLog::finish(State state, const std::string& /*error*/) {
  if (std::exchange(has_hyper_parameters_, false)) {
    tb::HParamsPluginData session;
    session.mutable_session_end_info()->set_status(state == State::kFinished ? 1 : 2);
    session.mutable_session_end_info()->set_end_time_secs(now());
    write_plugin("_hparams_/session_end_info", "hparams", session.SerializeAsString(), now());
  }
  flush();
}

}  // namespace polyphony::record
