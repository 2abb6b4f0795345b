// Encoders of the real sizes with random weights, as a whole process: a fine-tuning step of batch 1
// (5 s of audio, 249 tokens), or hidden_states[0].
//
// usage: encoder_bench THREADS hubert|roberta train|frozen|hidden STEPS 32|bf16
//
// Prints one JSON line: seconds of every step and the peak memory in MB. Sizes and settings are
// those of bench/baselines/encoders.py; bench/encoders runs both.
#include <string>
#include <vector>

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <polyphony/base/memory.h>
#include <polyphony/models/sequence_classifier.h>
#include <polyphony/models/speech_network.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/precision.h>

#include "measured.h"

namespace polyphony {
namespace {

constexpr const char* kHubertLarge = R"({"model_type": "hubert", "hidden_size": 1024,
  "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
  "do_stable_layer_norm": true, "feat_extract_norm": "layer", "conv_bias": true,
  "apply_spec_augment": false, "layerdrop": 0.0, "activation_dropout": 0.0, "num_labels": 7})";
constexpr const char* kRobertaLarge = R"({"model_type": "roberta", "hidden_size": 1024,
  "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
  "vocab_size": 32000, "max_position_embeddings": 514, "type_vocab_size": 1, "num_labels": 7})";

struct Settings {
  std::string model, work;
  int steps = 1;
  train::Precision precision = train::Precision::k32;
};

data::Batch batch_of(const models::PretrainedConfig& config) {
  data::Batch batch;
  if (models::is_speech(config.kind)) {
    batch.set("input_values", at::randn({1, 80000}));
  } else {
    batch.set("input_ids", at::randint(2, 32000, {1, 249}, at::kLong));
  }
  return batch;
}

std::vector<double> fine_tune(models::SequenceClassifier& model, const Settings& settings) {
  if (settings.work == "frozen") {
    dynamic_cast<models::SpeechNetwork&>(model.encoder()).freeze_feature_encoder();
  }
  model.train();
  optim::NamedTensors trained;
  for (const auto& item : model.named_parameters()) {
    if (item.value().requires_grad()) trained.emplace_back(item.key(), item.value());
  }
  optim::AdamW adamw(optim::AdamWOptions{});
  adamw.attach(trained);
  const data::Batch batch = batch_of(model.config());
  const at::Tensor label = at::tensor({3}, at::kLong);
  return time_steps(settings.steps, [&] {
    at::Tensor logits;
    {
      const train::Autocast autocast(settings.precision);
      logits = model.forward(batch).to(at::kFloat);
    }
    adamw.zero_grad();
    at::cross_entropy_loss(logits, label).backward();
    adamw.step(optim::clip_scale(optim::grad_norm(adamw), 1.0));
  });
}

std::vector<double> hidden_states(models::SequenceClassifier& model, const Settings& settings) {
  model.eval();
  const models::EncoderInput input =
      models::encoder_input(batch_of(model.config()), model.config());
  models::EncodeOptions options;
  options.last_layer = 0;
  if (settings.precision == train::Precision::kBf16) options.type = at::kBFloat16;
  const at::NoGradGuard no_grad;
  return time_steps(settings.steps, [&] { model.encoder().encode(input, options); });
}

std::vector<double> run(const std::vector<std::string>& arguments) {
  const Settings settings{arguments[2], arguments[3], std::stoi(arguments[4]),
                          arguments[5] == "bf16" ? train::Precision::kBf16 : train::Precision::k32};
  keep_freed_memory();
  tensor::set_up_compute(std::stoi(arguments[1]), tensor::Determinism::kOff);
  const char* json = settings.model == "hubert" ? kHubertLarge : kRobertaLarge;
  models::SequenceClassifier model(models::parse_pretrained_config(json, "bench"));
  return settings.work == "hidden" ? hidden_states(model, settings) : fine_tune(model, settings);
}

}  // namespace
}  // namespace polyphony

int main(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr,
               "usage: encoder_bench THREADS hubert|roberta train|frozen|hidden STEPS 32|bf16\n");
    return 2;
  }
  polyphony::print_measured(polyphony::run({argv, argv + argc}));
  return 0;
}
