#include <polyphony/optim/adamw.h>

#include <cmath>

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>

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
    adamw.step(lr);
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

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  const at::Tensor weight = at::tensor({1.0F, 2.0F});
  AdamW adamw(AdamWOptions{});
  adamw.attach({{"w", weight}});
  adamw.step(0.1);
  EXPECT_TRUE(at::equal(weight, at::tensor({1.0F, 2.0F})));
}

TEST(AdamW, StateContinuesToTheBit) {
  const at::Tensor one = parameter({1.0F, -1.0F}, {0.3F, 0.7F});
  AdamW first(AdamWOptions{});
  first.attach({{"w", one}});
  first.step(0.01);
  const at::Tensor two =
      parameter({one.data_ptr<float>()[0], one.data_ptr<float>()[1]}, {0.3F, 0.7F});
  AdamW second(AdamWOptions{});
  second.attach({{"w", two}});
  second.load_state(first.state());
  first.step(0.01);
  second.step(0.01);
  EXPECT_TRUE(at::equal(one, two));
}

TEST(AdamW, StateOfAnotherModelIsADataErrorNamingTheTensor) {
  AdamW small(AdamWOptions{});
  small.attach({{"w", parameter({1.0F}, {1.0F})}});
  AdamW large(AdamWOptions{});
  large.attach({{"w", parameter({1.0F, 2.0F}, {1.0F, 1.0F})}});
  try {
    large.load_state(small.state());
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("exp_avg.w"));
  }
}

TEST(AdamW, NothingToTrainIsAConfigError) {
  AdamW adamw(AdamWOptions{});
  EXPECT_THROW(adamw.attach({}), ConfigError);
}

TEST(Optimizer, ClipsTheCommonNormAndSaysWhatItWas) {
  const at::Tensor a = parameter({0.0F}, {3.0F});
  const at::Tensor b = parameter({0.0F}, {4.0F});
  AdamW adamw(AdamWOptions{});
  adamw.attach({{"a", a}, {"b", b}});
  EXPECT_NEAR(adamw.clip_grad_norm(10.0), 5.0, 1e-6);
  EXPECT_EQ(a.grad().item<float>(), 3.0F);  // small enough: untouched
  EXPECT_NEAR(adamw.clip_grad_norm(1.0), 5.0, 1e-6);
  EXPECT_NEAR(a.grad().item<double>(), 3.0 / (5.0 + 1e-6), 1e-6);
  EXPECT_NEAR(b.grad().item<double>(), 4.0 / (5.0 + 1e-6), 1e-6);
  const void* place = a.grad().data_ptr();
  adamw.zero_grad();
  EXPECT_EQ(a.grad().item<float>(), 0.0F);
  EXPECT_EQ(a.grad().data_ptr(), place);
}

}  // namespace
}  // namespace polyphony::optim
