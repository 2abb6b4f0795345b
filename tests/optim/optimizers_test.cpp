#include <polyphony/optim/adamw.h>

#include <cmath>

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/optim/sgd.h>

namespace polyphony::optim {
namespace {

using ::testing::HasSubstr;

at::Tensor parameter(const std::vector<float>& values, const std::vector<float>& gradient) {
  at::Tensor tensor = at::tensor(values);
  tensor.mutable_grad() = at::tensor(gradient);
  return tensor;
}

TEST(AdamW, StepsAreThoseOfItsFormulaInDouble) {
  AdamWOptions options;
  options.weight_decay = 0.1;
  const std::vector<float> gradient = {0.5F, -2.0F, 0.0F};
  const at::Tensor weight = parameter({1.0F, -1.0F, 3.0F}, gradient);
  AdamW adamw(options);
  adamw.attach({{"w", weight}});
  double w[] = {1.0, -1.0, 3.0};
  double m[] = {0, 0, 0};
  double v[] = {0, 0, 0};
  for (int step = 1; step <= 5; ++step) {
    const double lr = 1e-2 * step;
    adamw.groups().front().lr = lr;
    adamw.step();
    for (int i = 0; i < 3; ++i) {
      const double g = static_cast<double>(gradient[static_cast<std::size_t>(i)]);
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      w[i] *= 1 - lr * 0.1;
      w[i] -= lr * (m[i] / (1 - std::pow(0.9, step))) /
              (std::sqrt(v[i] / (1 - std::pow(0.999, step))) + 1e-8);
      EXPECT_NEAR(static_cast<double>(weight.data_ptr<float>()[i]), w[i], 1e-6) << step << " " << i;
    }
  }
}

/// Three steps with given gradients. @returns the weights
std::vector<float> after_three_steps(Optimizer& optimizer) {
  const at::Tensor weight = parameter({1.0F, -1.0F, 3.0F}, {0.5F, -2.0F, 0.1F});
  optimizer.attach({{"w", weight}});
  optimizer.step();
  for (const auto& gradient : {at::tensor({0.1F, -0.5F, 0.2F}), at::tensor({-0.3F, 1.0F, 0.05F})}) {
    weight.mutable_grad().copy_(gradient);
    optimizer.step();
  }
  return {weight.data_ptr<float>(), weight.data_ptr<float>() + 3};
}

// The numbers are those of torch 1.13.1.
TEST(AdamW, OfAmsgradAndMaximizeIsTorchs) {
  AdamWOptions options;
  options.lr = 0.01;
  options.weight_decay = 0.1;
  options.amsgrad = options.maximize = true;
  AdamW adamw(options);
  const std::vector<float> weights = after_three_steps(adamw);
  EXPECT_FLOAT_EQ(weights[0], 1.0171126127243042F);
  EXPECT_FLOAT_EQ(weights[1], -1.0182663202285767F);
  EXPECT_FLOAT_EQ(weights[2], 3.0193068981170654F);
}

TEST(Sgd, OfMaximizeIsTorchs) {
  SgdOptions options;
  options.lr = 0.1;
  options.momentum = 0.9;
  options.weight_decay = 0.01;
  options.maximize = true;
  Sgd sgd(options);
  const std::vector<float> weights = after_three_steps(sgd);
  EXPECT_FLOAT_EQ(weights[0], 1.1186949014663696F);
  EXPECT_FLOAT_EQ(weights[1], -1.5305850505828857F);
  EXPECT_FLOAT_EQ(weights[2], 3.0532264709472656F);
}

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  const at::Tensor weight = at::tensor({1.0F, 2.0F});
  AdamW adamw(AdamWOptions{});
  adamw.attach({{"w", weight}});
  adamw.step();
  EXPECT_TRUE(at::equal(weight, at::tensor({1.0F, 2.0F})));
}

TEST(AdamW, StateContinuesToTheBit) {
  const at::Tensor one = parameter({1.0F, -1.0F}, {0.3F, 0.7F});
  AdamW first(AdamWOptions{});
  first.attach({{"w", one}});
  first.step();
  const at::Tensor two =
      parameter({one.data_ptr<float>()[0], one.data_ptr<float>()[1]}, {0.3F, 0.7F});
  AdamW second(AdamWOptions{});
  second.attach({{"w", two}});
  second.load_state_dict(first.state_dict());
  first.step();
  second.step();
  EXPECT_TRUE(at::equal(one, two));
}

TEST(AdamW, StateOfAnotherModelIsADataErrorNamingTheTensor) {
  AdamW small(AdamWOptions{});
  small.attach({{"w", parameter({1.0F}, {1.0F})}});
  small.step();
  AdamW large(AdamWOptions{});
  large.attach({{"w", parameter({1.0F, 2.0F}, {1.0F, 1.0F})}});
  try {
    large.load_state_dict(small.state_dict());
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("exp_avg of 'w'"));
  }
}

TEST(AdamW, NothingToTrainIsAConfigError) {
  AdamW adamw(AdamWOptions{});
  EXPECT_THROW(adamw.attach(tensor::NamedTensors{}), ConfigError);
}

TEST(Optimizer, ClippingMultipliesGradientsOnTheWay) {
  const at::Tensor a = parameter({0.0F}, {3.0F});
  const at::Tensor b = parameter({0.0F}, {4.0F});
  SgdOptions options;
  options.lr = 1.0;
  Sgd sgd(options);
  sgd.attach({{"a", a}, {"b", b}});
  const double norm = grad_norm(sgd);
  EXPECT_NEAR(norm, 5.0, 1e-12);
  EXPECT_EQ(clip_scale(norm, 10.0), 1.0);
  sgd.step(clip_scale(norm, 1.0));
  EXPECT_NEAR(a.item<double>(), -3.0 / (5.0 + 1e-6), 1e-6);
  EXPECT_NEAR(b.item<double>(), -4.0 / (5.0 + 1e-6), 1e-6);
}

TEST(Optimizer, ValueClippingCutsEachElement) {
  const at::Tensor a = parameter({0.0F, 0.0F}, {3.0F, -0.5F});
  Sgd sgd(SgdOptions{});
  sgd.attach({{"a", a}});
  clip_grad_value(sgd, 1.0);
  EXPECT_TRUE(at::equal(a.grad(), at::tensor({1.0F, -0.5F})));
}

TEST(Optimizer, ZeroGradReleasesOrKeepsTheStorage) {
  const at::Tensor a = parameter({0.0F}, {3.0F});
  Sgd sgd(SgdOptions{});
  sgd.attach({{"a", a}});
  const void* place = a.grad().data_ptr();
  sgd.zero_grad(Optimizer::ZeroGrad::kKeepStorage);
  EXPECT_EQ(a.grad().item<float>(), 0.0F);
  EXPECT_EQ(a.grad().data_ptr(), place);
  sgd.zero_grad();
  EXPECT_FALSE(a.grad().defined());
}

TEST(Optimizer, ManyChunksMoveAsOneElementDoes) {
  const at::Tensor big = at::ones({100001});
  big.mutable_grad() = at::full({100001}, 0.25);
  const at::Tensor small = parameter({1.0F}, {0.25F});
  AdamW one(AdamWOptions{});
  one.attach({{"big", big}, {"small", small}});
  one.step();
  one.step();
  EXPECT_TRUE(at::equal(big, small.expand({100001})));
}

TEST(Sgd, MomentumBeginsWithTheGradientAndNesterovLooksAhead) {
  SgdOptions options;
  options.lr = 0.1;
  options.momentum = 0.9;
  options.nesterov = true;
  const at::Tensor w = parameter({1.0F}, {2.0F});
  Sgd sgd(options);
  sgd.attach({{"w", w}});
  sgd.step();  // m = 2, moves by 0.1 * (2 + 0.9 * 2)
  EXPECT_NEAR(w.item<double>(), 1.0 - 0.38, 1e-6);
  sgd.step();  // m = 3.8, moves by 0.1 * (2 + 0.9 * 3.8)
  EXPECT_NEAR(w.item<double>(), 0.62 - 0.542, 1e-6);
}

TEST(Adam, DecayIsPartOfTheGradient) {
  AdamOptions options;
  options.lr = 0.1;
  options.weight_decay = 1.0;
  const at::Tensor w = parameter({3.0F}, {-3.0F});  // which the decay cancels
  Adam adam(options);
  adam.attach({{"w", w}});
  adam.step();
  EXPECT_NEAR(w.item<double>(), 3.0, 1e-6);
}

TEST(Optimizer, GroupsHaveTheirOwnRateAndDecay) {
  ParamGroup decayed;
  decayed.parameters = {{"a", parameter({1.0F}, {0.0F})}};
  decayed.lr = 0.5;
  decayed.weight_decay = 0.5;
  ParamGroup plain = decayed;
  plain.parameters = {{"b", parameter({1.0F}, {0.0F})}};
  plain.weight_decay = 0;
  AdamW adamw(AdamWOptions{});
  adamw.attach({decayed, plain});
  adamw.step();
  EXPECT_NEAR(decayed.parameters[0].second.item<double>(), 0.75, 1e-6);
  EXPECT_NEAR(plain.parameters[0].second.item<double>(), 1.0, 1e-6);
  const tensor::Value state = adamw.state_dict();
  EXPECT_EQ(state.at("param_groups").items().size(), 2U);
  EXPECT_EQ(state.at("param_groups").items()[1].at("params").items()[0].as_int(), 1);
}

}  // namespace
}  // namespace polyphony::optim
