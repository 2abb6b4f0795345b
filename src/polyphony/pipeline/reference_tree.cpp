#include <polyphony/pipeline/reference_tree.h>

#include <algorithm>

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <polyphony/base/environment.h>
#include <polyphony/base/error.h>
#include <polyphony/base/npy.h>
#include <polyphony/dist/launch.h>

namespace polyphony::pipeline {
namespace {

const std::string* find(const config::Named<std::string>& values, const std::string& name) {
  for (const auto& [key, value] : values) {
    if (key == name) return &value;
  }
  return nullptr;
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
  config::Node node = january ? dataset_module.node : dataset.node;
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

void without_gpu(config::Node* trainer) {
  if (trainer == nullptr) return;
  config::Node* accelerator = trainer->find("accelerator");
  if (accelerator == nullptr || !accelerator->is_string()) return;
  if (accelerator->as_string() != "gpu" && accelerator->as_string() != "cuda") return;
  fmt::print("note: trainer.accelerator={}: this build computes on the processor\n",
             accelerator->as_string());
  trainer->set("accelerator", "cpu");
  // All GPUs of a machine that has none: one process.
  const config::Node* devices = trainer->find("devices");
  if (devices != nullptr && *devices == config::Node(-1)) trainer->set("devices", config::Node(1));
}

void save_logits(const std::string& path, const at::Tensor& logits) {
  const at::Tensor plain = logits.contiguous();
  NpyArray array;
  array.shape = plain.sizes().vec();
  array.values.assign(plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel());
  save_npy(path, array);
}

void in_processes(const Request& request, const train::TrainerOptions& trainer, int num_threads,
                  const RankWork& work) {
  const auto run_rank = [&] {
    std::unique_ptr<train::Strategy> strategy = train::make_strategy(trainer);
    Request mine = request;
    mine.output_dir = strategy->broadcast(request.output_dir.string());
    work(mine, std::move(strategy));
  };
  if (const auto launch = train::processes_to_launch(trainer, num_threads)) {
    dist::launch(*launch, process_environment(), run_rank);
  } else {
    run_rank();
  }
}

}  // namespace polyphony::pipeline
