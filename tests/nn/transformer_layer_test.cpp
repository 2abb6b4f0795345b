// An encoder's layer on packed rows against the same layer by plain operations in double precision:
// results of real positions, and all gradients; norms before and after, with and without padding.
#include <cmath>
#include <ostream>
#include <tuple>

#include <gmock/gmock.h>
#include <torch/types.h>

#include <polyphony/nn/transformer_layer.h>

namespace polyphony::nn {
namespace {

constexpr std::int64_t kBatch = 3, kPositions = 70, kDims = 24;

/// The gradient of a key's bias is 0, so small numbers are compared as they are.
double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).abs().max() / (1.0 + b.abs().max())).item<double>();
}

class PackedLayer : public ::testing::TestWithParam<std::tuple<NormPlace, bool>> {
 protected:
  PackedLayer() {
    at::manual_seed(7);
    options_.dims = kDims;
    options_.heads = 3;
    options_.intermediate = 56;
    options_.attention_dropout = options_.hidden_dropout = 0.0;
    options_.norm = std::get<0>(GetParam());
    layer_ = std::make_shared<TransformerLayer>(options_);
    plain_ = std::make_shared<TransformerLayer>(options_);
    plain_->to(at::kDouble);
    const at::NoGradGuard no_grad;
    const auto weights = layer_->named_parameters();
    for (auto& item : plain_->named_parameters()) {
      weights[item.key()].copy_(at::randn(item.value().sizes()) * 0.3 + 0.1);
      item.value().copy_(weights[item.key()]);
    }
  }
  /// bool [batch, positions], true where real; undefined: all
  static at::Tensor mask() {
    if (!std::get<1>(GetParam())) return {};
    at::Tensor real =
        at::arange(kPositions)
            .unsqueeze(0)
            .lt(at::tensor({kPositions, kPositions / 3, std::int64_t{1}}).unsqueeze(1));
    real[0][5] = false;
    return real;
  }

  TransformerLayerOptions options_;
  std::shared_ptr<TransformerLayer> layer_, plain_;
};

INSTANTIATE_TEST_SUITE_P(All, PackedLayer,
                         ::testing::Combine(::testing::Values(NormPlace::kBefore,
                                                              NormPlace::kAfter),
                                            ::testing::Bool()));

TEST_P(PackedLayer, IsThePlainOne) {
  const at::Tensor x = at::randn({kBatch, kPositions, kDims}).requires_grad_(true);
  const at::Tensor exact_x = x.detach().to(at::kDouble).requires_grad_(true);
  const at::Tensor real = mask();
  const at::Tensor seen =
      real.defined() ? real.unsqueeze(2) : at::ones({1, 1, 1}, at::TensorOptions(at::kBool));
  const at::Tensor weights = at::randn(x.sizes()) * seen;

  const at::Tensor exact = plain_->forward(exact_x, {nullptr, attention_bias(real)}, at::kFloat);
  (exact * weights).sum().backward();
  const Layout layout =
      pack(real.defined() ? real.logical_not() : at::Tensor(), kBatch, kPositions);
  const at::Tensor packed =
      spread_rows(layer_->forward(gather_rows(x, layout), {layout, {}}, at::kFloat), layout);
  (packed * weights).sum().backward();

  EXPECT_LT(relative(packed * seen, exact * seen), 1e-5);
  EXPECT_LT(relative(x.grad(), exact_x.grad()), 1e-5);
  const auto want = plain_->named_parameters();
  for (const auto& item : layer_->named_parameters()) {
    EXPECT_LT(relative(item.value().grad(), want[item.key()].grad()), 1e-5) << item.key();
  }
}

TEST_P(PackedLayer, Bfloat16RoundsOnly) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({kBatch, kPositions, kDims});
  const Layout layout = pack({}, kBatch, kPositions);
  const at::Tensor rows = gather_rows(x, layout);
  const at::Tensor narrow = layer_->forward(rows, {layout, {}}, at::kBFloat16);
  EXPECT_LT(relative(narrow, layer_->forward(rows, {layout, {}}, at::kFloat).to(at::kDouble)),
            3e-2);
}

}  // namespace
}  // namespace polyphony::nn
