#include <polyphony/optim/adamw_hf.h>

#include <cmath>

#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

namespace polyphony::optim {
namespace {

TEST(AdamWHF, StepsAreThoseOfItsFormulaInDouble) {
  AdamWHFOptions options;
  options.weight_decay = 0.1;
  const double gradient[] = {0.5, -2.0, 1e-6};
  at::Tensor weight = at::tensor({1.0F, -1.0F, 3.0F});
  weight.mutable_grad() = at::tensor({0.5F, -2.0F, 1e-6F});
  AdamWHF adamw(options);
  adamw.attach({{"w", weight}});
  double w[] = {1.0, -1.0, 3.0};
  double m[] = {0, 0, 0};
  double v[] = {0, 0, 0};
  for (int step = 1; step <= 5; ++step) {
    const double lr = 1e-2 * step;
    adamw.groups().front().lr = lr;
    adamw.step();
    for (int i = 0; i < 3; ++i) {
      m[i] = 0.9 * m[i] + 0.1 * gradient[i];
      v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
      const double rate = lr * std::sqrt(1 - std::pow(0.999, step)) / (1 - std::pow(0.9, step));
      w[i] -= rate * m[i] / (std::sqrt(v[i]) + 1e-6);
      w[i] -= lr * 0.1 * w[i];
      EXPECT_NEAR(static_cast<double>(weight.data_ptr<float>()[i]), w[i], 1e-6) << step << " " << i;
    }
  }
}

TEST(AdamWHF, WithoutCorrectionTheFirstStepsAreLarger) {
  const auto first_step = [](bool correct) {
    AdamWHFOptions options;
    options.correct_bias = correct;
    at::Tensor weight = at::tensor({0.0F});
    weight.mutable_grad() = at::tensor({1.0F});
    AdamWHF adamw(options);
    adamw.attach({{"w", weight}});
    adamw.step();
    return static_cast<double>(weight.data_ptr<float>()[0]);
  };
  EXPECT_NEAR(first_step(true), -1e-3, 1e-6);
  EXPECT_NEAR(first_step(false), -1e-3 * 0.1 / std::sqrt(0.001), 1e-6);
}

}  // namespace
}  // namespace polyphony::optim
