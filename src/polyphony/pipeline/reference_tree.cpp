#include <polyphony/pipeline/reference_tree.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::pipeline {
namespace {

const std::string* find(const config::Named<std::string>& values, const std::string& name) {
  for (const auto& [key, value] : values) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// A number or text of a section; empty where it is neither.
std::string word(const config::Node& section, const char* key) {
  const config::Node* value = section.find(key);
  if (value == nullptr || !value->is_scalar() || value->is_null()) return "";
  return config::python_str(*value);
}

void without_gpu(config::Node& trainer) {
  const std::string accelerator = word(trainer, "accelerator");
  if (accelerator != "gpu" && accelerator != "cuda") return;
  inform("note: trainer.accelerator={}: this build computes on the processor", accelerator);
  trainer.set("accelerator", "cpu");
  // All GPUs of a machine that has none: one process.
  if (word(trainer, "devices") == "-1") trainer.set("devices", config::Node(1));
}

}  // namespace

void ReferenceData::describe(config::Fields& f) {
  f("dataset", dataset, "the rows");
  f("dataset_module", dataset_module, "the same, as the tree of January 2024 calls it");
  f("split", split, "the dataset's split for each stage: train, val, test, predict");
  f("data_path", data_path, "the dataset's file for each stage, as in January 2024");
}

std::vector<std::string> ReferenceData::stages() const {
  std::vector<std::string> names;
  std::vector<std::string> seen;
  for (const auto& [stage, value] : split.empty() ? data_path : split) {
    if (std::find(seen.begin(), seen.end(), value) != seen.end()) continue;
    seen.push_back(value);
    names.push_back(stage);
  }
  return names;
}

std::unique_ptr<data::Dataset> ReferenceData::rows(const std::string& stage) const {
  const bool january = !dataset.is_set();
  config::Node node = section();
  if (node.is_null()) {
    throw ConfigError("dataset: must be given", "choose one: dataset=NAME (configs/dataset)");
  }
  if (const std::string* value = find(split, stage)) {
    node.set("split", config::Node(*value));
  } else if (const std::string* file = find(data_path, stage)) {
    node.set("data_path", config::Node(*file));
  } else {
    throw ConfigError(fmt::format("split.{}: must be given", stage),
                      fmt::format("write split.{}=NAME of the dataset's split", stage));
  }
  return config::build<data::Dataset>(node, january ? "dataset_module" : "dataset");
}

void for_this_build(config::Node* trainer) {
  if (trainer == nullptr) return;
  without_gpu(*trainer);
  const std::string precision = word(*trainer, "precision");
  if (precision == "16" || precision == "16-mixed") {
    inform("note: trainer.precision={}: the processor has bf16, which is taken", precision);
    trainer->set("precision", "bf16");
  }
  const std::string strategy = word(*trainer, "strategy");
  if (strategy.starts_with("deepspeed")) {
    inform("note: trainer.strategy={}: ddp is taken, which computes the same", strategy);
    trainer->set("strategy", "ddp");
  }
}

}  // namespace polyphony::pipeline
