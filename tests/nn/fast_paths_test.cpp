// The fast paths of the cross-modal transformer against the plain one in double precision: results
// and all gradients, with and without masks, in both forms, all positions and position 0 alone.
#include <cstdio>
#include <ostream>

#include <gmock/gmock.h>
#include <oneapi/dnnl/dnnl.h>
#include <torch/autograd.h>

#include <polyphony/nn/cross_modal_transformer.h>

#include "plain_cross_modal.h"

namespace polyphony::nn {
namespace {

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}
/// The greatest difference as a share of the greatest number.
double relative(const at::Tensor& a, const at::Tensor& b) {
  return distance(a, b) / (1e-3 + b.abs().max().item<double>());
}

enum class Mask { kNone, kPadded, kHoles, kAllHidden };

struct Case {
  PositionForm positions;
  Mask mask;
  bool causal;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << (one.positions == PositionForm::kRotary ? "rotary" : "sinusoidal") << " mask "
       << static_cast<int>(one.mask) << (one.causal ? " causal" : "");
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto form : {PositionForm::kRotary, PositionForm::kSinusoidal}) {
    for (const auto mask : {Mask::kNone, Mask::kPadded, Mask::kHoles, Mask::kAllHidden}) {
      for (const bool causal : {false, true}) cases.push_back({form, mask, causal});
    }
  }
  return cases;
}

constexpr std::int64_t kBatch = 3, kDims = 24, kQueries = 70, kKeys = 37;

at::Tensor padding_of(Mask mask, std::int64_t positions) {
  if (mask == Mask::kNone) return {};
  at::Tensor padding =
      at::arange(positions, at::kLong)
          .unsqueeze(0)
          .ge(at::tensor({positions, positions / 3, std::int64_t{1}}).unsqueeze(1));
  if (mask == Mask::kHoles) {  // first positions hidden, and one in the middle
    padding[0].narrow(0, 0, 2).fill_(true);
    padding[1].narrow(0, 0, 1).fill_(true);
    padding[0][positions / 2].fill_(true);
  }
  if (mask == Mask::kAllHidden) padding[2].fill_(true);
  return padding;
}

class FastPaths : public ::testing::TestWithParam<Case> {
 protected:
  FastPaths() {
    at::manual_seed(11);
    options_.model_dims = kDims;
    options_.num_heads = 3;
    options_.num_layers = 3;
    options_.positions = GetParam().positions;
    options_.attn_mask = GetParam().causal;
    network_ = std::make_shared<CrossModalTransformer>(options_);
    const at::NoGradGuard no_grad;
    for (auto& item : network_->named_parameters()) {
      item.value().add_(at::randn(item.value().sizes()) * 0.1);  // no norm is the identity
    }
  }

  void expect_same_gradients(PlainCrossModal& plain, double tolerance) {
    for (const auto& item : network_->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      at::Tensor fast = item.value().grad();
      at::Tensor exact = plain.parameters().at(item.key()).grad();
      EXPECT_LT(relative(fast, exact), tolerance) << item.key();
    }
  }

  CrossModalTransformerOptions options_;
  std::shared_ptr<CrossModalTransformer> network_;
};

INSTANTIATE_TEST_SUITE_P(All, FastPaths, ::testing::ValuesIn(all_cases()));

TEST_P(FastPaths, AllPositionsAreThoseOfThePlainOne) {
  PlainCrossModal plain(options_, *network_, at::kDouble);
  const at::Tensor query = at::randn({kBatch, kQueries, kDims}).requires_grad_(true);
  const at::Tensor key = at::randn({kBatch, kKeys, kDims}).requires_grad_(true);
  const at::Tensor padding = padding_of(GetParam().mask, kKeys);
  const at::Tensor weights = at::randn(query.sizes());
  const at::Tensor exact_query = query.detach().to(at::kDouble).requires_grad_(true);
  const at::Tensor exact_key = key.detach().to(at::kDouble).requires_grad_(true);
  const at::Tensor exact = plain.forward(exact_query, exact_key, padding);
  (exact * weights).sum().backward();
  const at::Tensor fast = network_->forward(query, key, padding);
  (fast * weights).sum().backward();
  EXPECT_LT(distance(fast, exact), 2e-5);
  EXPECT_LT(relative(query.grad(), exact_query.grad()), 2e-5);
  EXPECT_LT(relative(key.grad(), exact_key.grad()), 2e-5);
  expect_same_gradients(plain, 2e-5);
}

TEST_P(FastPaths, PositionZeroAloneIsThatOfThePlainOne) {
  PlainCrossModal plain(options_, *network_, at::kDouble);
  const at::Tensor x = at::randn({kBatch, kKeys, kDims}).requires_grad_(true);
  const at::Tensor padding = padding_of(GetParam().mask, kKeys);
  const at::Tensor weights = at::randn({kBatch, kDims});
  const at::Tensor exact_x = x.detach().to(at::kDouble).requires_grad_(true);
  const at::Tensor exact = plain.forward(exact_x, exact_x, padding).select(1, 0);
  (exact * weights).sum().backward();
  const Layout layout = pack(padding, kBatch, kKeys);
  const at::Tensor fast = network_->forward_first({gather_rows(x, layout), layout});
  (fast * weights).sum().backward();
  EXPECT_LT(distance(fast, exact), 2e-5);
  EXPECT_LT(relative(x.grad(), exact_x.grad()), 2e-5);
  expect_same_gradients(plain, 2e-5);
}

// bfloat16 has 8 bits: 2^-8 a rounding, and some tens of roundings one after another. Units whose
// sum is near 0 switch, so a gradient of few rows is further off: 0.123 is the most of all cases.
TEST_P(FastPaths, Bfloat16IsNear) {
  PlainCrossModal plain(options_, *network_, at::kDouble);
  const at::Tensor x = at::randn({kBatch, kQueries, kDims});
  const at::Tensor key = at::randn({kBatch, kKeys, kDims});
  const at::Tensor padding = padding_of(GetParam().mask, kKeys);
  const Layout queries = pack({}, kBatch, kQueries);
  const Layout keys = pack(padding, kBatch, kKeys);
  const at::Tensor weights = at::randn({kBatch * kQueries, kDims});
  const at::Tensor exact =
      plain.forward(x.to(at::kDouble), key.to(at::kDouble), padding).view({-1, kDims});
  (exact * weights).sum().backward();
  const at::Tensor fast = network_->forward({gather_rows(x, queries).to(at::kBFloat16), queries},
                                            {gather_rows(key, keys).to(at::kBFloat16), keys});
  ASSERT_EQ(fast.scalar_type(), at::kBFloat16);
  (fast * weights).sum().backward();
  EXPECT_LT(relative(fast, exact), 0.05);
  for (const auto& item : network_->named_parameters()) {
    const at::Tensor& wanted = plain.parameters().at(item.key()).grad();
    EXPECT_EQ(item.value().grad().scalar_type(), at::kFloat) << item.key();
    EXPECT_LT(((item.value().grad() - wanted).norm() / (wanted.norm() + 0.1)).item<double>(), 0.2)
        << item.key();
  }
}

/// Whether oneDNN's products of this processor sum in one order at any number of threads. Those
/// that it computes with AVX2 or SSE4.1 share the terms of a long sum out among threads.
bool products_keep_their_order() {
  return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

// Every sum has a fixed order, in our own loops and, as this test shows, in oneDNN's products with
// AVX-512.
TEST(Threads, DoNotChangeABit) {
  CrossModalTransformerOptions options;
  options.model_dims = 64;
  options.attn_dropout = options.relu_dropout = options.res_dropout = options.emb_dropout = 0.3;
  at::manual_seed(14);
  CrossModalTransformer network(options);
  const at::Tensor x = at::randn({16, 33, 64});
  const Layout layout = pack(padding_of(Mask::kNone, 33), 16, 33);
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    at::manual_seed(5);
    network.zero_grad();
    const Rows rows = {gather_rows(x, layout), layout};
    const at::Tensor all = network.forward(rows, rows);
    const at::Tensor first = network.forward_first(rows);
    (all.square().sum() + first.square().sum()).backward();
    std::vector<at::Tensor> results = {all.detach(), first.detach()};
    for (const at::Tensor& parameter : network.parameters()) {
      results.push_back(parameter.grad().clone());
    }
    return results;
  };
  const int before = at::get_num_threads();
  const bool to_the_bit = products_keep_their_order();
  if (!to_the_bit) std::printf("to 1e-5, not to the bit: oneDNN's products are not of AVX-512\n");
  const auto one = run(1);
  for (const int threads : {2, 3, 4}) {
    const auto several = run(threads);
    const auto again = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_TRUE(at::equal(several[i], again[i])) << threads << " threads, tensor " << i;
      if (to_the_bit) {
        EXPECT_TRUE(at::equal(one[i], several[i])) << threads << " threads, tensor " << i;
      } else {
        EXPECT_LT(relative(several[i], one[i]), 1e-5) << threads << " threads, tensor " << i;
      }
    }
  }
  at::set_num_threads(before);
}

TEST(CrossModalDropout, TwoForwardsOfOneGeneratorStateAgreeAndDifferFromTheNext) {
  CrossModalTransformerOptions options;
  options.model_dims = 32;
  options.attn_dropout = options.relu_dropout = options.res_dropout = options.emb_dropout = 0.3;
  at::manual_seed(13);
  CrossModalTransformer network(options);
  const at::Tensor x = at::randn({2, 9, 32});
  const auto run = [&] {
    network.zero_grad();
    const at::Tensor out = network.forward(x, x, {});
    out.square().sum().backward();
    std::vector<at::Tensor> all = {out.detach()};
    for (const at::Tensor& parameter : network.parameters())
      all.push_back(parameter.grad().clone());
    return all;
  };
  at::manual_seed(3);
  const auto first = run();
  const auto next = run();
  at::manual_seed(3);
  const auto again = run();
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(at::equal(first[i], again[i])) << i;
  EXPECT_FALSE(at::equal(first[0], next[0]));
}

// Gradients of a network with dropout are those of the function that its masks make of it.
TEST(CrossModalDropout, GradientsFollowTheMasks) {
  CrossModalTransformerOptions options;
  options.model_dims = 32;
  options.attn_dropout = options.relu_dropout = options.res_dropout = options.emb_dropout = 0.3;
  at::manual_seed(12);
  CrossModalTransformer network(options);
  const at::Tensor x = at::randn({3, 11, 32}).requires_grad_(true);
  const Layout layout = pack(padding_of(Mask::kPadded, 11), 3, 11);
  for (const bool first : {false, true}) {
    const at::Tensor weights = at::randn({first ? 3 : layout->rows(), 32});
    const auto value = [&](const at::Tensor& at) {
      at::manual_seed(7);
      const Rows rows = {gather_rows(at, layout), layout};
      const at::Tensor out = first ? network.forward_first(rows) : network.forward(rows, rows);
      return (out * weights).to(at::kDouble).sum();
    };
    x.mutable_grad().reset();
    value(x).backward();
    const auto slope = x.grad().norm().item<double>();
    const at::NoGradGuard no_grad;
    const at::Tensor direction = x.grad() / slope;
    constexpr double kStep = 1e-2;
    const double measured =
        ((value(x + direction * kStep) - value(x - direction * kStep)) / (2 * kStep))
            .item<double>();
    EXPECT_NEAR(measured, slope, 0.03 * slope) << first;
  }
}

}  // namespace
}  // namespace polyphony::nn
