// Training steps of the fusion model as a whole process: forward, loss, backward, clipping, AdamW.
//
// usage: fusion_bench small|full AUDIO_LENGTHS TEXT_LENGTHS THREADS STEPS 32|bf16
//
// LENGTHS: positions of each item of the batch, with commas between. Prints one JSON line: seconds
// of every step. Sizes and settings are those of bench/baselines/fusion.py; bench/fusion runs both.
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <polyphony/models/multi_modal_transformer.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/precision.h>

#include "measured.h"

namespace polyphony {
namespace {

constexpr int kClasses = 7;

struct Size {
  int dims, heads, layers, positions, features;
};
Size size_of(const std::string& name) {
  return name == "full" ? Size{1024, 8, 4, 249, 1024} : Size{128, 4, 2, 64, 128};
}

models::MultiModalTransformerOptions options_of(const Size& size) {
  models::MultiModalTransformerOptions options;
  options.model_dims = size.dims;
  options.num_heads = size.heads;
  options.num_layers = size.layers;
  options.attn_dropout = options.relu_dropout = options.res_dropout = 0.3;
  options.emb_dropout = options.out_dropout = 0.3;
  options.audio_dims = options.text_dims = size.features;
  options.num_labels = kClasses;
  return options;
}

/// bool [batch, positions], true where padding.
at::Tensor padding(const std::vector<std::int64_t>& lengths, std::int64_t positions) {
  return at::arange(positions, at::kLong).unsqueeze(0).ge(at::tensor(lengths).unsqueeze(1));
}

std::vector<double> run(const std::vector<std::string>& arguments) {
  const Size size = size_of(arguments[1]);
  const std::vector<std::int64_t> audio_lengths = integers(arguments[2]);
  const std::vector<std::int64_t> text_lengths = integers(arguments[3]);
  const auto batch = static_cast<std::int64_t>(audio_lengths.size());
  tensor::set_up_compute(std::stoi(arguments[4]), tensor::Determinism::kOff);
  const int steps = std::stoi(arguments[5]);
  const auto precision = arguments[6] == "bf16" ? train::Precision::kBf16 : train::Precision::k32;
  at::manual_seed(1);
  models::MultiModalTransformer model(options_of(size));
  tensor::NamedTensors parameters;
  for (const auto& entry : model.named_parameters()) {
    parameters.emplace_back(entry.key(), entry.value());
  }
  optim::AdamW optimizer({});
  optimizer.attach(parameters);
  const at::Tensor audio = at::randn({batch, size.positions, size.features});
  const at::Tensor text = at::randn({batch, size.positions, size.features});
  const at::Tensor audio_padding = padding(audio_lengths, size.positions);
  const at::Tensor text_padding = padding(text_lengths, size.positions);
  const at::Tensor label = at::randint(kClasses, {batch}, at::kLong);
  return time_steps(steps, [&] {
    at::Tensor loss;
    {
      const train::Autocast autocast(precision);
      loss = at::cross_entropy_loss(model.forward(audio, audio_padding, text, text_padding), label);
    }
    optimizer.zero_grad();
    loss.backward();
    optimizer.step(optim::clip_scale(optim::grad_norm(optimizer), 1.0));
  });
}

}  // namespace
}  // namespace polyphony

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(stderr,
               "usage: fusion_bench small|full AUDIO_LENGTHS TEXT_LENGTHS THREADS STEPS 32|bf16\n");
    return 2;
  }
  polyphony::print_measured(polyphony::run({argv, argv + argc}));
  return 0;
}
