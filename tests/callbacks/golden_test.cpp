// Lightning's decisions in callbacks/traces.json: files on disk, scores and counters after every
// hook.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include <ATen/ops/mean.h>
#include <gmock/gmock.h>
#include <golden.h>
#include <scratch.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/callbacks/early_stopping.h>
#include <polyphony/callbacks/model_checkpoint.h>

#include "../train/toy.h"

namespace polyphony::callbacks {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using tensor::Value;

std::string file_name(const std::string& path) { return fs::path(path).filename().string(); }

Json number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Json score(std::optional<float> value) {
  return value ? number(static_cast<double>(*value)) : Json();
}

std::vector<std::string> files_in(const fs::path& directory) {
  std::vector<std::string> files;
  if (!fs::exists(directory)) return files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name != RunLock::kFileName && name != "exception.ckpt") files.push_back(name);  // ours
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Notes what stands after each of the checkpoint's hooks.
class Recorder : public train::Callback {
 public:
  Recorder(const ModelCheckpoint& checkpoint, const EarlyStopping* stopping, fs::path directory,
           Json& trace)
      : checkpoint_(checkpoint),
        stopping_(stopping),
        directory_(std::move(directory)),
        trace_(trace) {}
  bool saves_checkpoints() const override { return true; }  // to run behind it
  void on_validation_end(train::Trainer& trainer) override {
    note(trainer, "after_ckpt.on_validation_end");
  }
  void on_train_epoch_end(train::Trainer& trainer) override {
    note(trainer, "after_ckpt.on_train_epoch_end");
  }
  void on_fit_end(train::Trainer& trainer) override { note(trainer, "fit_end"); }

 private:
  void note(const train::Trainer& trainer, const char* when) {
    Json kept = Json::object();
    for (const auto& [path, value] : checkpoint_.best_k_models())
      kept[file_name(path)] = score(value);
    Json entry = {{"epoch", trainer.current_epoch()},
                  {"when", when},
                  {"global_step", trainer.global_step()},
                  {"files", files_in(directory_)},
                  {"best_model_path", file_name(checkpoint_.best_path())},
                  {"best_model_score", score(checkpoint_.best_score())},
                  {"kth_best_model_path", file_name(checkpoint_.kth_best_path())},
                  {"kth_value", score(checkpoint_.kth_value())},
                  {"best_k_models", kept},
                  {"last_model_path", file_name(checkpoint_.last_path())}};
    if (stopping_ != nullptr) {
      entry["es_wait_count"] = stopping_->wait_count();
      entry["es_best_score"] = score(stopping_->best_score());
      entry["es_stopped_epoch"] = stopping_->stopped_epoch();
      entry["should_stop"] = trainer.should_stop();
    }
    trace_.push_back(std::move(entry));
  }

  const ModelCheckpoint& checkpoint_;
  const EarlyStopping* stopping_;
  fs::path directory_;
  Json& trace_;
};

/// The options that every case shares, with those of this one.
config::Node over(config::Node node, const Json& given) {
  for (const auto& item : given.items()) {
    const Json& value = item.value();
    if (value.is_null()) node.set(item.key(), config::Node());
    if (value.is_boolean()) node.set(item.key(), config::Node(value.get<bool>()));
    if (value.is_number_integer()) node.set(item.key(), config::Node(value.get<std::int64_t>()));
    if (value.is_number_float()) node.set(item.key(), config::Node(value.get<double>()));
    if (value.is_string()) node.set(item.key(), config::Node(value.get<std::string>()));
  }
  return node;
}

template <class Options>
Options options_of(const config::Node& shared, const Json& given) {
  const config::Node node = over(shared, given);
  Options options;
  config::Fields fields(node, "case", "");
  options.describe(fields);
  fields.finish();
  return options;
}

config::Node shared_by_all(bool checkpoint, const fs::path& directory) {
  config::Node node = config::Node::map();
  node.set("monitor", config::Node("val_MulticlassF1Score"));
  node.set("mode", config::Node("max"));
  if (!checkpoint) {
    node.set("patience", config::Node(3));
    return node;
  }
  node.set("dirpath", config::Node(directory.string()));
  node.set("filename", config::Node("epoch={epoch}"));
  node.set("auto_insert_metric_name", config::Node(false));
  node.set("save_top_k", config::Node(3));
  node.set("save_last", config::Node(true));
  return node;
}

/// A task that logs the case's value of the epoch.
class Scripted : public train::ToyTask {
 public:
  explicit Scripted(std::vector<double> values) : values_(std::move(values)) {}
  void validation_step(const data::Batch&, std::int64_t) override {
    log("val_MulticlassF1Score", values_.at(static_cast<std::size_t>(trainer()->current_epoch())));
  }
  void training_epoch_end() override {}
  at::Tensor training_step(const data::Batch& batch, std::int64_t) override {
    return at::linear(batch.at("x"), weight_of()).mean();
  }

 private:
  at::Tensor weight_of() { return parameters().front().second; }
  std::vector<double> values_;
};

struct Ran {
  Json trace = Json::array();
  Json states = Json::object();
  std::int64_t epochs = 0;
  std::string error;
};

Json json_of(const Value& value, const std::string& directory) {
  switch (value.kind()) {
    case Value::Kind::kInt:
      return value.as_int();
    case Value::Kind::kTensor:
      return number(value.as_tensor().item<double>());
    case Value::Kind::kString: {
      std::string text = value.as_string();
      if (text.starts_with(directory)) text = "DIR" + text.substr(directory.size());
      return text;
    }
    case Value::Kind::kDict: {
      Json object = Json::object();
      for (const auto& [key, item] : value.entries()) {
        object[file_name(key.as_string())] = json_of(item, directory);
      }
      return object;
    }
    default:
      return {};
  }
}

Ran run(const Json& one, const fs::path& directory) {
  Ran ran;
  train::TrainerParts parts;
  const Json nothing = Json::object();
  const auto given = [&](const char* key) {
    return one.at(key).is_object() ? one.at(key) : nothing;
  };
  auto checkpoint = std::make_unique<ModelCheckpoint>(
      options_of<ModelCheckpointOptions>(shared_by_all(true, directory), given("checkpoint")));
  const ModelCheckpoint& saved = *checkpoint;
  const EarlyStopping* stopped = nullptr;
  parts.callbacks.push_back(std::move(checkpoint));
  if (one.at("early_stopping") != Json(false)) {
    auto stopping = std::make_unique<EarlyStopping>(
        options_of<EarlyStoppingOptions>(shared_by_all(false, directory), given("early_stopping")));
    stopped = stopping.get();
    parts.callbacks.push_back(std::move(stopping));
  }
  parts.callbacks.push_back(std::make_unique<Recorder>(saved, stopped, directory, ran.trace));
  std::vector<double> values;
  for (const Json& value : one.at("values")) values.push_back(golden_number(value));
  config::Node trainer_node = config::Node::map();
  trainer_node.set("max_epochs", config::Node(static_cast<int>(values.size())));
  trainer_node.set("num_sanity_val_steps", config::Node(0));
  train::Trainer trainer(options_of<train::TrainerOptions>(trainer_node, one.at("trainer")),
                         directory, std::move(parts));
  Scripted task(values);
  task.optimize_with(train::toy_optimization());
  const train::ToyDataset rows(10);
  data::Loader train_loader(rows, train::toy_loading(false));
  data::Loader val_loader(rows, train::toy_loading(false));
  try {
    trainer.fit(task, train_loader, &val_loader);
  } catch (const ConfigError& error) {
    ran.error = std::string(error.what()) + "; " + error.remedy();
  }
  ran.epochs = trainer.current_epoch();
  for (const auto& callback : trainer.callbacks()) {
    if (callback->state_key().empty()) continue;
    Json state = json_of(callback->state_dict(), directory.string());
    for (const char* ours : {"last_global_step_saved", "ranked_step", "files"}) state.erase(ours);
    ran.states[callback->state_key()] = std::move(state);
  }
  return ran;
}

TEST(Callbacks, GoldenTraces) {
  int count = 0;
  const Json all = golden_json("callbacks/traces.json");
  for (const Json& one : all.at("cases")) {
    const auto name = one.at("name").get<std::string>();
    SCOPED_TRACE(name);
    const fs::path directory = scratch_directory() / ("golden-" + name);
    fs::remove_all(directory);
    for (const Json& file : one.at("existing_files")) {
      write_file(directory / file.get<std::string>(), std::string_view("old"));
    }
    for (const Json& want : one.at("runs")) {
      const Ran ran = run(one, directory);
      ASSERT_EQ(ran.trace.size(), want.at("trace").size());
      for (std::size_t i = 0; i < ran.trace.size(); ++i) {
        ASSERT_EQ(ran.trace[i], want.at("trace")[i]) << i;
      }
      EXPECT_EQ(ran.epochs, want.at("epochs_run").get<std::int64_t>());
      EXPECT_EQ(ran.error.empty(), want.at("error").is_null()) << ran.error;
      if (!want.at("error").is_null()) {  // names the metric, and what was logged
        EXPECT_THAT(ran.error, ::testing::HasSubstr("'nope' was never logged"));
        EXPECT_THAT(ran.error, ::testing::HasSubstr("val_MulticlassF1Score"));
      }
      EXPECT_EQ(Json(files_in(directory)), want.at("final_files"));
      EXPECT_EQ(ran.states, want.at("callback_state"));
    }
    ++count;
  }
  std::printf("callback traces: %d\n", count);
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace polyphony::callbacks
