// Training steps of the fusion model as a whole process: forward, loss, backward, clipping, AdamW.
//
// usage: fusion_bench THREADS small|full BATCH full|kemdy19 STEPS 32|bf16
//
// Prints one JSON line: seconds of every step and the peak memory in MB. Sizes, lengths and
// settings are those of bench/baselines/fusion.py; bench/fusion runs both.
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
at::Tensor padding(const std::string& kind, const std::vector<double>& shares, std::int64_t batch,
                   std::int64_t positions) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < batch; ++i) {
    const double share = kind == "full" ? 1.0 : shares[static_cast<std::size_t>(i % 8)];
    lengths.push_back(std::max<std::int64_t>(
        2, static_cast<std::int64_t>(static_cast<double>(positions) * share)));
  }
  return at::arange(positions, at::kLong).unsqueeze(0).ge(at::tensor(lengths).unsqueeze(1));
}

std::vector<double> run(const std::vector<std::string>& arguments) {
  tensor::set_up_compute(std::stoi(arguments[1]), tensor::Determinism::kOff);
  const Size size = size_of(arguments[2]);
  const std::int64_t batch = std::stoll(arguments[3]);
  const std::string& kind = arguments[4];
  const int steps = std::stoi(arguments[5]);
  const auto precision = arguments[6] == "bf16" ? train::Precision::kBf16 : train::Precision::k32;
  at::manual_seed(1);
  models::MultiModalTransformer model(options_of(size));
  optim::NamedTensors parameters;
  for (const auto& entry : model.named_parameters()) {
    parameters.emplace_back(entry.key(), entry.value());
  }
  optim::AdamW optimizer({});
  optimizer.attach(parameters);
  const at::Tensor audio = at::randn({batch, size.positions, size.features});
  const at::Tensor text = at::randn({batch, size.positions, size.features});
  const at::Tensor audio_padding =
      padding(kind, {0.4, 0.6, 0.3, 1.0, 0.5, 0.8, 0.35, 0.7}, batch, size.positions);
  const at::Tensor text_padding =
      padding(kind, {0.06, 0.03, 0.1, 0.05, 0.08, 0.04, 0.16, 0.06}, batch, size.positions);
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
    fmt::print(stderr, "usage: fusion_bench THREADS small|full BATCH full|kemdy19 STEPS 32|bf16\n");
    return 2;
  }
  polyphony::print_measured(polyphony::run({argv, argv + argc}));
  return 0;
}
