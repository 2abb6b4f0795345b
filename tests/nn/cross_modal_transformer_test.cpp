#include <polyphony/nn/cross_modal_transformer.h>

#include <cmath>

#include <gmock/gmock.h>

namespace polyphony::nn {
namespace {

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

at::Tensor values(at::IntArrayRef sizes, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randn(sizes);
}

CrossModalTransformerOptions small(PositionForm positions, bool causal = false) {
  CrossModalTransformerOptions options;
  options.model_dims = 8;
  options.num_heads = 2;
  options.attn_mask = causal;
  options.positions = positions;
  return options;
}

/// bool [lengths, positions], true where padding.
at::Tensor padding(const std::vector<std::int64_t>& lengths, std::int64_t positions) {
  return at::arange(positions, at::kLong).unsqueeze(0).ge(at::tensor(lengths).unsqueeze(1));
}

class CrossModal : public ::testing::TestWithParam<PositionForm> {};

INSTANTIATE_TEST_SUITE_P(Positions, CrossModal,
                         ::testing::Values(PositionForm::kSinusoidal, PositionForm::kRotary));

TEST_P(CrossModal, GivesTheShapeOfTheQuery) {
  CrossModalTransformer network(small(GetParam()));
  const at::Tensor out = network.forward(values({3, 5, 8}, 1), values({3, 7, 8}, 2), {});
  EXPECT_EQ(out.sizes(), (std::vector<std::int64_t>{3, 5, 8}));
}

TEST_P(CrossModal, PaddedKeysDoNotInfluenceResults) {
  CrossModalTransformer network(small(GetParam()));
  const at::Tensor query = values({2, 5, 8}, 1);
  const at::Tensor key = values({2, 4, 8}, 2);
  const at::Tensor longer = at::cat({key, values({2, 3, 8}, 3)}, 1);
  const at::Tensor plain = network.forward(query, key, {});
  const at::Tensor masked = network.forward(query, longer, padding({4, 4}, 7));
  EXPECT_LT(distance(plain, masked), 1e-5);
  EXPECT_GT(distance(plain, network.forward(query, longer, {})), 1e-3);
}

TEST_P(CrossModal, CausalPositionsDoNotSeeLaterOnes) {
  CrossModalTransformer network(small(GetParam(), /*causal=*/true));
  const at::Tensor x = values({2, 6, 8}, 1);
  const at::Tensor other = at::cat({x.narrow(1, 0, 4), values({2, 2, 8}, 2)}, 1);
  const at::Tensor first = network.forward(x, x, {});
  const at::Tensor second = network.forward(other, other, {});
  EXPECT_LT(distance(first.narrow(1, 0, 4), second.narrow(1, 0, 4)), 1e-5);
  EXPECT_GT(distance(first.narrow(1, 4, 2), second.narrow(1, 4, 2)), 1e-3);
}

TEST_P(CrossModal, ARowOfPaddingOnlyGivesNumbersAndLeavesOtherRowsAlone) {
  for (const bool causal : {false, true}) {
    CrossModalTransformer network(small(GetParam(), causal));
    at::Tensor query = values({2, 5, 8}, 1);
    const at::Tensor key = values({2, 5, 8}, 2).requires_grad_();
    const at::Tensor open = network.forward(query, key, padding({3, 5}, 5));
    const at::Tensor closed = network.forward(query, key, padding({3, 0}, 5));
    EXPECT_TRUE(at::isfinite(closed).all().item<bool>());
    EXPECT_LT(distance(open[0], closed[0]), 1e-6);
    closed.square().sum().backward();
    EXPECT_TRUE(at::isfinite(key.grad()).all().item<bool>());
    EXPECT_EQ(key.grad()[1].abs().max().item<double>(), 0.0);  // nobody looked at it
    for (const auto& item : network.named_parameters()) {
      EXPECT_TRUE(at::isfinite(item.value().grad()).all().item<bool>()) << item.key();
    }
  }
}

TEST_P(CrossModal, EveryParameterGetsAGradient) {
  CrossModalTransformer network(small(GetParam()));
  network.forward(values({2, 5, 8}, 1), values({2, 4, 8}, 2), {}).square().sum().backward();
  for (const auto& item : network.named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_GT(item.value().grad().abs().max().item<double>(), 0.0) << item.key();
  }
}

TEST(CrossModalTransformer, AllLayersStartEqual) {
  CrossModalTransformerOptions options = small(PositionForm::kRotary);
  options.num_layers = 3;
  CrossModalTransformer network(options);
  const auto parameters = network.named_parameters();
  int compared = 0;
  for (const auto& item : parameters) {
    if (!item.key().starts_with("layers.0.")) continue;
    for (const char* layer : {"layers.1.", "layers.2."}) {
      EXPECT_TRUE(at::equal(item.value(), parameters[layer + item.key().substr(9)])) << item.key();
      ++compared;
    }
  }
  EXPECT_EQ(compared, 24);
}

TEST(CrossModalTransformer, DropoutIsForTrainingOnly) {
  CrossModalTransformerOptions options = small(PositionForm::kRotary);
  options.attn_dropout = options.relu_dropout = options.res_dropout = options.emb_dropout = 0.5;
  CrossModalTransformer network(options);
  const at::Tensor x = values({2, 5, 8}, 1);
  EXPECT_FALSE(at::equal(network.forward(x, x, {}), network.forward(x, x, {})));
  network.eval();
  EXPECT_TRUE(at::equal(network.forward(x, x, {}), network.forward(x, x, {})));
}

TEST(RotatePositions, TurnsNeighbouringPairsByPosition) {
  const at::Tensor x = values({1, 4, 2, 6}, 5);
  const at::Tensor turned = rotate_positions(x);
  for (int position = 0; position < 4; ++position) {
    for (int pair = 0; pair < 3; ++pair) {
      const double angle = position / std::pow(10000.0, 2.0 * pair / 6.0);
      const double even = x[0][position][1][2 * pair].item<double>();
      const double odd = x[0][position][1][2 * pair + 1].item<double>();
      EXPECT_NEAR(turned[0][position][1][2 * pair].item<double>(),
                  even * std::cos(angle) - odd * std::sin(angle), 1e-6);
      EXPECT_NEAR(turned[0][position][1][2 * pair + 1].item<double>(),
                  odd * std::cos(angle) + even * std::sin(angle), 1e-6);
    }
  }
}

TEST(RotatePositions, ProductsDependOnDistanceOnly) {
  const at::Tensor a = rotate_positions(values({1, 1, 1, 8}, 1).expand({1, 9, 1, 8}));
  const at::Tensor b = rotate_positions(values({1, 1, 1, 8}, 2).expand({1, 9, 1, 8}));
  const auto product = [&](int i, int j) { return (a[0][i] * b[0][j]).sum().item<double>(); };
  EXPECT_NEAR(product(0, 3), product(5, 8), 1e-5);
  EXPECT_GT(std::abs(product(0, 3) - product(0, 4)), 1e-3);
}

TEST(SinusoidalPositions, CountFromOneAndHaveSinesFirst) {
  const at::Tensor table = sinusoidal_positions(at::ones({1, 3}), 6);
  for (int position = 0; position < 3; ++position) {
    for (int i = 0; i < 3; ++i) {
      const double angle = (position + 1) * std::pow(10000.0, -i / 2.0);
      EXPECT_NEAR(table[0][position][i].item<double>(), std::sin(angle), 1e-6);
      EXPECT_NEAR(table[0][position][i + 3].item<double>(), std::cos(angle), 1e-6);
    }
  }
}

TEST(SinusoidalPositions, AMarkOfZeroIsPaddingAndIsNotCounted) {
  const at::Tensor table = sinusoidal_positions(at::tensor({0.5F, 0.0F, -2.0F}).unsqueeze(0), 4);
  const at::Tensor dense = sinusoidal_positions(at::ones({1, 2}), 4);
  EXPECT_TRUE(at::equal(table[0][0], dense[0][0]));
  EXPECT_EQ(table[0][1].abs().max().item<double>(), 0.0);
  EXPECT_TRUE(at::equal(table[0][2], dense[0][1]));
}

TEST(SinusoidalPositions, OddAndTinyWidthsAreFinite) {
  for (const int dims : {1, 2, 3, 5}) {
    const at::Tensor table = sinusoidal_positions(at::ones({1, 3}), dims);
    EXPECT_EQ(table.sizes(), (std::vector<std::int64_t>{1, 3, dims}));
    EXPECT_TRUE(at::isfinite(table).all().item<bool>()) << dims;
  }
}

}  // namespace
}  // namespace polyphony::nn
