#include <polyphony/nn/dropout.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/autograd.h>

#include <polyphony/tensor/seed.h>

namespace polyphony::nn {
namespace {

using ::testing::ElementsAre;

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// 1 where an element stays.
at::Tensor kept_of(const at::Tensor& factors) { return factors.ne(0).to(at::kDouble); }

// Known answers of the authors' own Random123 library (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, GivesTheKnownAnswerOfItsAuthors) {
  EXPECT_THAT(philox(0, 0), ElementsAre(0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U));
}

TEST(Philox, EveryInstructionSetDrawsTheSame) {
  using Instructions = BernoulliGroups::Instructions;
  const BernoulliGroups draws{0x123456789abcdef0, 45875, 1.5F};
  constexpr std::int64_t kGroups = 9;
  std::vector<float> fast(kGroups * BernoulliGroups::kGroup);
  std::vector<float> portable(fast.size(), -1.0F);
  for (const std::int64_t first : {0L, 5L, 0xFFFFFFFL, 0x123456789AL}) {
    draws.draw(first, kGroups, portable.data(), Instructions::kPortable);
    for (const auto most : {Instructions::kAvx2, Instructions::kAvx512}) {
      draws.draw(first, kGroups, fast.data(), most);
      EXPECT_EQ(fast, portable) << first;
    }
  }
}

TEST(DropoutMask, DropsItsShareAndKeepsTheMean) {
  at::manual_seed(1);
  constexpr std::int64_t kSize = 2'000'000;
  for (const double rate : {0.01, 0.1, 0.3, 0.5, 0.9}) {
    const at::Tensor factors = DropoutMask::draw(rate).factors({kSize});
    const double deviation = std::sqrt(rate * (1 - rate) / kSize);
    EXPECT_NEAR(1 - kept_of(factors).mean().item<double>(), rate, 5 * deviation) << rate;
    EXPECT_NEAR(factors.to(at::kDouble).mean().item<double>(), 1.0, 5 * deviation / (1 - rate));
    EXPECT_NEAR(factors.max().item<double>(), 1 / (1 - rate), 1e-3 / (1 - rate)) << rate;
  }
}

// Correlations of elements at every distance up to two groups, and of masks drawn one after
// another.
TEST(DropoutMask, ElementsAreIndependent) {
  at::manual_seed(2);
  constexpr std::int64_t kSize = 1 << 18;
  constexpr double kRate = 0.3;
  const double variance = kRate * (1 - kRate);
  const auto centred = [&](const DropoutMask& mask) {
    return kept_of(mask.factors({kSize})) - (1 - kRate);
  };
  const at::Tensor first = centred(DropoutMask::draw(kRate));
  const double bound = 5.5 / std::sqrt(static_cast<double>(kSize));
  for (std::int64_t apart = 1; apart <= 256; ++apart) {
    const at::Tensor product =
        first.narrow(0, 0, kSize - apart) * first.narrow(0, apart, kSize - apart);
    EXPECT_LT(std::abs(product.mean().item<double>()) / variance, bound) << apart;
  }
  for (int i = 0; i < 20; ++i) {
    const at::Tensor other = centred(DropoutMask::draw(kRate));
    EXPECT_LT(std::abs((first * other).mean().item<double>()) / variance, bound) << i;
  }
}

// Patterns of eight neighbours, against the product of their probabilities.
TEST(DropoutMask, PatternsOfNeighboursAreAsLikelyAsTheyShouldBe) {
  at::manual_seed(3);
  constexpr std::int64_t kWords = 1 << 17;
  const at::Tensor kept = kept_of(DropoutMask::draw(0.5).factors({kWords, 8})).to(at::kLong);
  const at::Tensor weights = at::pow(2, at::arange(8, at::kLong));
  const at::Tensor counts = at::bincount((kept * weights).sum(1), {}, 256).to(at::kDouble);
  const double expected = kWords / 256.0;
  const double chi_square = ((counts - expected).square() / expected).sum().item<double>();
  EXPECT_GT(chi_square, 150);  // 255 degrees of freedom: mean 255, deviation 22.6
  EXPECT_LT(chi_square, 370);
}

TEST(DropoutMask, AnElementsFactorDependsOnItsNumberAlone) {
  at::manual_seed(4);
  const DropoutMask mask = DropoutMask::draw(0.4);
  constexpr std::int64_t kSize = 1000;
  std::vector<float> whole(kSize);
  mask.factors(0, kSize, whole.data());
  for (const std::int64_t begin : {0, 1, 100, 127, 128, 129, 300}) {
    for (const std::int64_t count : {1, 17, 128, 257, 700}) {
      std::vector<float> part(static_cast<std::size_t>(count));
      mask.factors(begin, count, part.data());
      const std::vector<float> wanted(whole.begin() + begin, whole.begin() + begin + count);
      EXPECT_EQ(part, wanted) << begin << " " << count;
    }
  }
}

TEST(DropoutMask, ARunWhoseGeneratorIsPutBackDropsTheSame) {
  at::manual_seed(5);
  DropoutMask::draw(0.3);
  const at::Tensor state = tensor::generator_state();
  const at::Tensor first = DropoutMask::draw(0.3).factors({512});
  const at::Tensor second = DropoutMask::draw(0.3).factors({512});
  EXPECT_FALSE(at::equal(first, second));
  tensor::set_generator_state(state);
  EXPECT_TRUE(at::equal(DropoutMask::draw(0.3).factors({512}), first));
  EXPECT_TRUE(at::equal(DropoutMask::draw(0.3).factors({512}), second));
}

TEST(DropoutMask, RatesOfZeroAndOneAndNone) {
  EXPECT_FALSE(DropoutMask::draw(0).active());
  EXPECT_FALSE(DropoutMask::draw_if(false, 0.5).active());
  EXPECT_EQ(DropoutMask().factors({300}).sum().item<double>(), 300);
  EXPECT_EQ(DropoutMask::draw(1).factors({300}).abs().max().item<double>(), 0);
  EXPECT_GT(DropoutMask::draw(1e-9).factors({300}).min().item<double>(), 0.99);
  for (const double rate : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THROW(DropoutMask::draw(rate), std::invalid_argument) << rate;
  }
}

struct Case {
  at::ScalarType type;
  double tolerance;
};
class DropoutFunctions : public ::testing::TestWithParam<Case> {
 protected:
  at::Tensor random(std::uint64_t seed) const {
    at::manual_seed(seed);
    return at::randn({7, 5, 333}).transpose(0, 1).to(GetParam().type).requires_grad_(true);
  }
};
INSTANTIATE_TEST_SUITE_P(Types, DropoutFunctions,
                         ::testing::Values(Case{at::kFloat, 1e-6}, Case{at::kBFloat16, 0.04}));

/// Results and gradients of `fast` and `plain` for the same weights of their results.
template <class Fast, class Plain>
void expect_equal(const std::vector<at::Tensor>& inputs, const Fast& fast, const Plain& plain,
                  double tolerance) {
  const at::Tensor weights = at::randn(inputs[0].sizes()).to(inputs[0].scalar_type());
  const at::Tensor a = fast();
  const auto fast_gradients = torch::autograd::grad({(a * weights).sum()}, inputs);
  const at::Tensor b = plain();
  const auto plain_gradients = torch::autograd::grad({(b * weights).sum()}, inputs);
  EXPECT_EQ(a.scalar_type(), inputs[0].scalar_type());
  EXPECT_LT(distance(a, b), tolerance);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_LT(distance(fast_gradients[i], plain_gradients[i]), tolerance) << i;
  }
}

TEST_P(DropoutFunctions, AreTheProductsThatTheyFuse) {
  const at::Tensor x = random(1);
  const at::Tensor y = random(2);
  const DropoutMask mask = DropoutMask::draw(0.3);
  const at::Tensor f = mask.factors(x.sizes()).to(GetParam().type);
  const double tolerance = GetParam().tolerance;
  expect_equal(
      {x}, [&] { return dropout(x, mask); }, [&] { return x * f; }, tolerance);
  expect_equal(
      {y, x}, [&] { return add_dropout(y, x, mask); }, [&] { return y + x * f; }, tolerance);
  expect_equal(
      {x}, [&] { return relu_dropout(x, mask); }, [&] { return at::relu(x) * f; }, tolerance);
}

TEST_P(DropoutFunctions, WithoutAMaskArePlain) {
  const at::Tensor x = random(1);
  const at::Tensor y = random(2);
  EXPECT_TRUE(at::equal(dropout(x, DropoutMask::draw_if(false, 0.3)), x));
  EXPECT_TRUE(at::equal(add_dropout(y, x, {}), x + y));
  EXPECT_TRUE(at::equal(relu_dropout(x, {}), at::relu(x)));
}

TEST(DropoutFunctionsEdges, NaNStaysVisible) {
  const at::Tensor x = at::full({2000}, std::nan(""), at::kFloat);
  EXPECT_TRUE(relu_dropout(x, DropoutMask::draw(0.3)).isnan().all().item<bool>());
  EXPECT_TRUE(dropout(x, DropoutMask::draw(0.3)).isnan().all().item<bool>());
  const at::Tensor narrow = dropout(x.to(at::kBFloat16), DropoutMask::draw(0.3));
  EXPECT_TRUE(narrow.isnan().all().item<bool>());
}

TEST(DropoutFunctionsEdges, OtherTypesAndShapesAreRefused) {
  const DropoutMask mask = DropoutMask::draw(0.3);
  EXPECT_THROW(dropout(at::zeros({3}, at::kLong), mask), std::invalid_argument);
  EXPECT_THROW(add_dropout(at::zeros({2, 3}), at::zeros({3}), mask), std::invalid_argument);
  EXPECT_EQ(dropout(at::zeros({0, 4}), mask).numel(), 0);
}

}  // namespace
}  // namespace polyphony::nn
