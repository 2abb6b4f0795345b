// The original's module and model, built from YAML as its trees write them.
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <golden.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/tasks/multi_modal_architecture.h>
#include <polyphony/tensor/safetensors.h>

namespace polyphony::tasks {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A case of train/ with its initial weights and first batch.
struct Case {
  nlohmann::json facts;
  tensor::TensorMap tensors;
};

Case load(const std::string& tag) {
  const fs::path folder = golden_dir() / "train";
  Case one{nlohmann::json::parse(std::ifstream(folder / (tag + ".json"))),
           tensor::load_safetensors(folder / (tag + ".safetensors"))};
  const auto add = [&](const std::string& file) {
    if (!fs::exists(folder / file)) return;
    const tensor::TensorMap more = tensor::load_safetensors(folder / file);
    one.tensors.insert(more.begin(), more.end());
  };
  if (!one.tensors.contains("init.model.fc1.weight")) {
    add("weights_self.safetensors");
    add("weights_cross.safetensors");
  }
  if (!one.tensors.contains("batch0.label")) {
    add("batches_last" + std::to_string(one.facts.at("last_batch").get<int>()) + ".safetensors");
  }
  return one;
}

std::unique_ptr<train::Task> head_task(const Case& one, const std::string& more = "") {
  const auto number = [&](const char* name) {
    return std::to_string(one.facts.at(name).get<int>());
  };
  return config::build<train::Task>(
      config::parse_yaml(
          "_target_: src.architectures.multimodal_architecture.MultiModalArchitecture\n"
          "num_labels: 7\naverage: macro\nstrategy: ddp\nlr: 1e-3\nweight_decay: 1e-2\n"
          "warmup_ratio: 5e-2\neta_min_ratio: 1e-2\ninterval: step\n"
          "model:\n"
          "  _target_: src.architectures.models.multimodal_transformer.MultiModalTransformer\n"
          "  model_dims: " +
              number("model_dims") + "\n  num_heads: " + number("num_heads") +
              "\n  num_layers: " + number("num_layers") +
              "\n  audio_dims: " + number("audio_dims") + "\n  text_dims: " + number("text_dims") +
              "\n  text_max_length: 12\n  num_labels: 7\n"
              "  attn_dropout: 0.0\n  relu_dropout: 0.0\n  res_dropout: 0.0\n  emb_dropout: 0.0\n"
              "  out_dropout: 0.0\n  attn_mask: " +
              (one.facts.at("attn_mask").get<bool>() ? "true" : "false") +
              "\n  scale_embedding: false\n" + more,
          "test"),
      "architecture");
}

std::unique_ptr<train::Task> jan_task(const Case& one, const std::string& scale = "true",
                                      const std::string& more = "") {
  const auto number = [&](const char* name) {
    return std::to_string(one.facts.at(name).get<int>());
  };
  return config::build<train::Task>(
      config::parse_yaml(
          "_target_: src.architecture_modules.basic_archimodule.MultiModalPlModule\n"
          "num_classes: 7\naverage: macro\nlr: 0.00001\nt_max: 50\neta_min: 0.0000025\n"
          "interval: step\n"
          "model:\n"
          "  _target_: src.architecture_modules.models.multimodal_transformer."
          "MultiModalTransformer\n"
          "  d_model: " +
              number("model_dims") + "\n  n_heads: " + number("num_heads") +
              "\n  n_layers: " + number("num_layers") + "\n  d_audio: " + number("audio_dims") +
              "\n  d_text: " + number("text_dims") +
              "\n  n_classes: 7\n"
              "  attn_dropout: 0.0\n  relu_dropout: 0.0\n  res_dropout: 0.0\n  emb_dropout: 0.0\n"
              "  out_dropout: 0.0\n  scale_embedding: " +
              scale + "\n  attn_mask: " +
              (one.facts.at("attn_mask").get<bool>() ? "true" : "false") + "\n" + more,
          "test"),
      "architecture_module");
}

void load_initial_weights(train::Task& task, const Case& one) {
  train::NamedTensors state;
  for (const auto& [name, tensor] : one.tensors) {
    if (name.starts_with("init.")) state.emplace_back(name.substr(5), tensor);
  }
  task.load_state(state, "the golden case");
  task.set_training(false);
}

data::Batch masked_batch(const Case& one) {
  data::Batch batch;
  for (const char* name : {"audio_hidden", "audio_mask", "text_hidden", "text_mask", "label"}) {
    batch.set(name, one.tensors.at(std::string("batch0.") + name));
  }
  return batch;
}

/// The same rows as the embedding cache gives them: valid positions only, zeros up to the longest.
data::Batch trimmed_batch(const Case& one) {
  data::Batch batch;
  for (const std::string modality : {"audio", "text"}) {
    const at::Tensor hidden = one.tensors.at("batch0." + modality + "_hidden");
    const at::Tensor open = one.tensors.at("batch0." + modality + "_mask").logical_not();
    const at::Tensor lengths = open.sum(1) + 1;  // the original masks the last valid one, too
    const std::int64_t longest = std::min(lengths.max().item<std::int64_t>(), hidden.size(1));
    const at::Tensor valid = at::arange(longest).unsqueeze(0).lt(lengths.unsqueeze(1)).unsqueeze(2);
    batch.set(modality + "_hidden", hidden.narrow(1, 0, longest) * valid);
    batch.set(modality + "_hidden_length", lengths.clamp_max(hidden.size(1)));
  }
  return batch;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(ReferenceModule, TodaysGivesTheOriginalsLogitsWithMasksAndTrimmed) {
  for (const char* tag : {"head_nomask", "head_causal"}) {
    const Case one = load(tag);
    const auto task = head_task(one);
    load_initial_weights(*task, one);
    const at::Tensor& want = one.tensors.at("logits_init_batch0");
    EXPECT_LT(distance(task->predict_step(masked_batch(one), 0), want), 1e-5) << tag;
    EXPECT_LT(distance(task->predict_step(trimmed_batch(one), 0), want), 1e-5) << tag;
  }
}

TEST(ReferenceModule, JanuarysGivesTheOriginalsLogitsWithMasksAndTrimmed) {
  for (const char* tag : {"jan_nomask", "jan_causal"}) {
    const Case one = load(tag);
    const auto task = jan_task(one);
    load_initial_weights(*task, one);
    const at::Tensor& want = one.tensors.at("logits_init_batch0");
    EXPECT_LT(distance(task->predict_step(masked_batch(one), 0), want), 1e-5) << tag;
    EXPECT_LT(distance(task->predict_step(trimmed_batch(one), 0), want), 1e-5) << tag;
  }
}

TEST(ReferenceModule, TheQuirksAreSwitches) {
  const Case one = load("jan_nomask");
  const at::Tensor& want = one.tensors.at("logits_init_batch0");
  // A layer norm follows, so that the scale counts where something is added to what it scales.
  const auto unscaled = jan_task(one, "false", "  always_scale: false\n");
  load_initial_weights(*unscaled, one);
  EXPECT_GT(distance(unscaled->predict_step(masked_batch(one), 0), want), 1e-3);
  const auto ignored = jan_task(one, "false");
  load_initial_weights(*ignored, one);
  EXPECT_LT(distance(ignored->predict_step(masked_batch(one), 0), want), 1e-5);
  const auto whole = jan_task(one, "true", "  mask_last_position: false\n");
  load_initial_weights(*whole, one);
  EXPECT_GT(distance(whole->predict_step(trimmed_batch(one), 0), want), 1e-3);
}

TEST(ReferenceModule, WithoutTheQuirkPaddingDoesNotInfluenceTheResult) {
  const Case one = load("head_nomask");
  const auto task = head_task(one, "  mask_last_position: false\n");
  load_initial_weights(*task, one);
  const data::Batch trimmed = trimmed_batch(one);
  data::Batch padded = trimmed;
  for (const std::string modality : {"audio", "text"}) {
    padded.set(modality + "_hidden",
               at::constant_pad_nd(trimmed.at(modality + "_hidden"), {0, 0, 0, 5}));
  }
  EXPECT_LT(distance(task->predict_step(padded, 0), task->predict_step(trimmed, 0)), 1e-5);
}

TEST(ReferenceModule, EmbeddingsOfAnotherWidthAreADataError) {
  const Case one = load("head_nomask");
  const auto task = head_task(one);
  data::Batch batch = trimmed_batch(one);
  batch.set("audio_hidden", at::zeros({2, 3, 5}));
  try {
    task->predict_step(batch, 0);
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("[2, 3, 5]"));
    EXPECT_THAT(error.what(), HasSubstr("model.audio_dims"));
  }
}

TEST(ReferenceModule, UnknownOptionsAreErrors) {
  const Case one = load("head_nomask");
  EXPECT_THROW(head_task(one, "  d_model: 5\n"), ConfigError);
}

}  // namespace
}  // namespace polyphony::tasks
