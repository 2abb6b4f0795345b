// Encoders of the real sizes with random weights: a fine-tuning step of batch 1 (5 s of audio, 249
// tokens) and hidden_states[0]. bench/encoders runs this beside bench/baselines/encoders.py.
#include <string>

#include <ATen/autocast_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <polyphony/models/sequence_classifier.h>
#include <polyphony/models/speech_network.h>
#include <polyphony/optim/adamw.h>

namespace polyphony::models {
namespace {

constexpr const char* kHubertLarge = R"({"model_type": "hubert", "hidden_size": 1024,
  "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
  "do_stable_layer_norm": true, "feat_extract_norm": "layer", "conv_bias": true,
  "apply_spec_augment": false, "layerdrop": 0.0, "activation_dropout": 0.0, "num_labels": 7})";
constexpr const char* kRobertaLarge = R"({"model_type": "roberta", "hidden_size": 1024,
  "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
  "vocab_size": 32000, "max_position_embeddings": 514, "type_vocab_size": 1, "num_labels": 7})";

enum class Precision { kFloat, kBfloat16 };
enum class Features { kTrained, kFrozen };

data::Batch batch_of(const PretrainedConfig& config) {
  data::Batch batch;
  if (is_speech(config.kind)) {
    batch.set("input_values", at::randn({1, 80000}));
  } else {
    batch.set("input_ids", at::randint(2, 32000, {1, 249}, at::kLong));
  }
  return batch;
}

void finetune(benchmark::State& state, const char* json, Features features, Precision precision) {
  SequenceClassifier model(parse_pretrained_config(json, "bench"));
  if (features == Features::kFrozen) {
    dynamic_cast<SpeechNetwork&>(model.encoder()).freeze_feature_encoder();
  }
  model.train();
  optim::AdamW adamw(optim::AdamWOptions{});
  optim::NamedTensors trained;
  for (const auto& item : model.named_parameters()) {
    if (item.value().requires_grad()) trained.emplace_back(item.key(), item.value());
  }
  adamw.attach(trained);
  const data::Batch batch = batch_of(model.config());
  const at::Tensor label = at::tensor({3}, at::kLong);
  const auto step = [&] {
    adamw.zero_grad();
    at::autocast::set_cpu_enabled(precision == Precision::kBfloat16);
    const at::Tensor logits = model.forward(batch).to(at::kFloat);
    at::autocast::set_cpu_enabled(false);
    at::cross_entropy_loss(logits, label).backward();
    adamw.step(optim::clip_scale(optim::grad_norm(adamw), 1.0));
  };
  step();  // makes gradients and moments
  for (auto _ : state) step();
}

void hidden(benchmark::State& state, const char* json) {
  SequenceClassifier model(parse_pretrained_config(json, "bench"));
  model.eval();
  const EncoderInput input = encoder_input(batch_of(model.config()), model.config());
  EncodeOptions options;
  options.last_layer = 0;
  const at::NoGradGuard no_grad;
  for (auto _ : state) benchmark::DoNotOptimize(model.encoder().encode(input, options));
}

void add(const char* name, void (*run)(benchmark::State&)) {
  benchmark::RegisterBenchmark(name, run)->Iterations(2)->UseRealTime()->Unit(
      benchmark::kMillisecond);
}

[[maybe_unused]] const bool registered = [] {
  using State = benchmark::State;
  add("hubert", [](State& s) { finetune(s, kHubertLarge, Features::kTrained, Precision::kFloat); });
  add("hubert_frozen",
      [](State& s) { finetune(s, kHubertLarge, Features::kFrozen, Precision::kFloat); });
  add("hubert_bf16",
      [](State& s) { finetune(s, kHubertLarge, Features::kFrozen, Precision::kBfloat16); });
  add("roberta",
      [](State& s) { finetune(s, kRobertaLarge, Features::kTrained, Precision::kFloat); });
  add("roberta_bf16",
      [](State& s) { finetune(s, kRobertaLarge, Features::kTrained, Precision::kBfloat16); });
  return true;
}();

void hubert_hidden(benchmark::State& state) { hidden(state, kHubertLarge); }
void roberta_hidden(benchmark::State& state) { hidden(state, kRobertaLarge); }
BENCHMARK(hubert_hidden)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(roberta_hidden)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace polyphony::models
