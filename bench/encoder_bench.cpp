// A pretrained encoder with random weights, as a whole process: fine-tuning steps, or
// hidden_states[0].
//
// usage: encoder_bench CONFIG.json train|frozen|hidden LENGTHS THREADS STEPS 32|bf16
//
// LENGTHS: samples or tokens of each item of the batch, with commas between. Prints one JSON line:
// seconds of every step. bench/encoders runs it beside Transformers.
#include <algorithm>
#include <string>
#include <vector>

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <polyphony/base/files.h>
#include <polyphony/base/memory.h>
#include <polyphony/models/sequence_classifier.h>
#include <polyphony/models/speech_network.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/precision.h>

#include "measured.h"

namespace polyphony {
namespace {

struct Settings {
  std::string work;
  std::vector<std::int64_t> lengths;
  int steps = 1;
  train::Precision precision = train::Precision::k32;
};

data::Batch batch_of(const models::PretrainedConfig& config, const Settings& settings) {
  const bool speech = models::is_speech(config.kind);
  const std::string name = speech ? "input_values" : "input_ids";
  const auto items = static_cast<std::int64_t>(settings.lengths.size());
  const std::int64_t longest = std::ranges::max(settings.lengths);
  data::Batch batch;
  batch.set(name, speech ? at::randn({items, longest})
                         : at::randint(2, config.text.vocab_size, {items, longest}, at::kLong));
  batch.set(name + "_length", at::tensor(settings.lengths));
  return batch;
}

std::vector<double> fine_tune(models::SequenceClassifier& model, const Settings& settings) {
  if (settings.work == "frozen") {
    dynamic_cast<models::SpeechNetwork&>(model.encoder()).freeze_feature_encoder();
  }
  model.train();
  tensor::NamedTensors trained;
  for (const auto& item : model.named_parameters()) {
    if (item.value().requires_grad()) trained.emplace_back(item.key(), item.value());
  }
  optim::AdamW adamw(optim::AdamWOptions{});
  adamw.attach(trained);
  const data::Batch batch = batch_of(model.config(), settings);
  const at::Tensor label =
      at::full({static_cast<std::int64_t>(settings.lengths.size())}, 3, at::kLong);
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
      models::encoder_input(batch_of(model.config(), settings), model.config());
  models::EncodeOptions options;
  options.last_layer = 0;
  if (settings.precision == train::Precision::kBf16) options.type = at::kBFloat16;
  const at::NoGradGuard no_grad;
  return time_steps(settings.steps, [&] { model.encoder().encode(input, options); });
}

std::vector<double> run(const std::vector<std::string>& arguments) {
  const Settings settings{arguments[2], integers(arguments[3]), std::stoi(arguments[5]),
                          arguments[6] == "bf16" ? train::Precision::kBf16 : train::Precision::k32};
  keep_freed_memory();
  tensor::set_up_compute(std::stoi(arguments[4]), tensor::Determinism::kOff);
  models::SequenceClassifier model(
      models::parse_pretrained_config(read_file(arguments[1]), arguments[1]));
  return settings.work == "hidden" ? hidden_states(model, settings) : fine_tune(model, settings);
}

}  // namespace
}  // namespace polyphony

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(
        stderr,
        "usage: encoder_bench CONFIG.json train|frozen|hidden LENGTHS THREADS STEPS 32|bf16\n");
    return 2;
  }
  polyphony::print_measured(polyphony::run({argv, argv + argc}));
  return 0;
}
