#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <golden.h>
#include <torch/nn/module.h>

#include <polyphony/base/csv.h>
#include <polyphony/models/multi_modal_transformer.h>
#include <polyphony/tensor/safetensors.h>
#include <polyphony/train/task.h>

// Training trajectories of the reference: its model, from fixed weights and batches, with what each
// step gave (tests/golden/train).

namespace polyphony::train {

struct GoldenCase {
  std::string tag;
  nlohmann::json facts;
  tensor::TensorMap tensors;

  const at::Tensor& at(const std::string& name) const { return tensors.at(name); }
  bool head() const { return facts.at("version") == "head"; }
};

/// What a case does not hold itself is in files of its kind: initial weights in
/// weights_*.safetensors, batches in batches_lastN.safetensors by the rows of the last one.
inline GoldenCase load_case(const std::filesystem::path& path) {
  GoldenCase one;
  one.tag = path.stem().string();
  one.tensors = tensor::load_safetensors(path);
  one.facts =
      nlohmann::json::parse(std::ifstream(std::filesystem::path(path).replace_extension(".json")));
  const auto add = [&](const std::string& file) {
    const tensor::TensorMap more = tensor::load_safetensors(path.parent_path() / file);
    one.tensors.insert(more.begin(), more.end());
  };
  if (!one.tensors.contains("init.model.fc1.weight")) {
    add("weights_self.safetensors");
    add("weights_cross.safetensors");
  }
  if (!one.tensors.contains("batch1.label")) {
    add("batches_last" + std::to_string(one.facts.at("last_batch").get<int>()) + ".safetensors");
  }
  return one;
}

/// All of them, by name.
inline std::vector<GoldenCase> load_cases() {
  std::set<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(golden_dir() / "train")) {
    const std::filesystem::path& path = entry.path();
    const bool tensors = path.extension() == ".safetensors";
    if (tensors && exists(std::filesystem::path(path).replace_extension(".json"))) {
      paths.insert(path);
    }
  }
  std::vector<GoldenCase> cases;
  for (const std::filesystem::path& path : paths) cases.push_back(load_case(path));
  return cases;
}

inline models::MultiModalTransformerOptions model_options(const GoldenCase& one) {
  models::MultiModalTransformerOptions options;
  options.model_dims = one.facts.at("model_dims");
  options.num_heads = one.facts.at("num_heads");
  options.num_layers = one.facts.at("num_layers");
  options.audio_dims = one.facts.at("audio_dims");
  options.text_dims = one.facts.at("text_dims");
  options.attn_mask = one.facts.at("attn_mask");
  options.positions = one.head() ? nn::PositionForm::kRotary : nn::PositionForm::kSinusoidal;
  options.num_labels = static_cast<int>(one.at("logits_init_batch0").size(1));
  options.attn_dropout = options.relu_dropout = options.res_dropout = 0.0;
  options.emb_dropout = options.out_dropout = 0.0;
  return options;
}

/// The model with the case's initial weights.
inline std::shared_ptr<models::MultiModalTransformer> model_of(const GoldenCase& one) {
  auto model = std::make_shared<models::MultiModalTransformer>(model_options(one));
  const at::NoGradGuard no_grad;
  for (auto& item : model->named_parameters()) {
    item.value().copy_(one.at("init.model." + item.key()));
  }
  return model;
}

/// A case's batches, row by row.
class GoldenRows : public data::Dataset {
 public:
  explicit GoldenRows(const GoldenCase& one) {
    const std::int64_t batches = one.facts.at("n_batches");
    for (std::int64_t b = 0; b < batches; ++b) {
      const std::string prefix = "batch" + std::to_string(b) + ".";
      for (std::int64_t r = 0; r < one.at(prefix + "label").size(0); ++r) {
        data::Item item;
        for (const char* name :
             {"audio_hidden", "audio_mask", "text_hidden", "text_mask", "label"}) {
          item.set(name, one.at(prefix + name).select(0, r));
        }
        items_.push_back(std::move(item));
      }
    }
  }
  std::int64_t size() const override { return static_cast<std::int64_t>(items_.size()); }
  data::Item get(std::int64_t index) const override {
    return items_[static_cast<std::size_t>(index)];
  }
  data::Batch collate(std::span<const data::Item> items) const override {
    data::Batch batch;
    for (const auto& [name, first] : items.front().entries()) {
      std::vector<at::Tensor> rows;
      for (const data::Item& item : items) rows.push_back(item.at(name));
      batch.set(name, at::stack(rows));
    }
    return batch;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {}; }
  const CsvTable& table() const override { return table_; }

 private:
  std::vector<data::Item> items_;
  std::vector<std::string> classes_;
  CsvTable table_;
};

}  // namespace polyphony::train
