// The convolutions of speech encoders against torch's own in double precision: results and all
// gradients, at the shapes of HuBERT (kernel above, equal to and below the stride; one channel).
#include <algorithm>
#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <torch/types.h>

#include <polyphony/nn/grouped_conv.h>
#include <polyphony/nn/strided_conv.h>

namespace polyphony::nn {
namespace {

at::Tensor draw(at::IntArrayRef sizes) { return at::randn(sizes).requires_grad_(true); }
at::Tensor exact(const at::Tensor& x) { return x.detach().to(at::kDouble).requires_grad_(true); }

/// The greatest difference as a share of the greatest number.
double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).abs().max() / (1e-3 + b.abs().max())).item<double>();
}

struct Strided {
  const char* name;
  std::int64_t batch, time, channels, dims, kernel, stride;
};
void PrintTo(const Strided& s, std::ostream* out) { *out << s.name; }

/// What a parameter is called in a test's name.
constexpr auto kNamed = [](const auto& one) { return std::string(one.param.name); };

class StridedConvolution : public ::testing::TestWithParam<Strided> {
 protected:
  void expect_same(bool with_bias, at::ScalarType type, double tolerance) {
    const Strided s = GetParam();
    at::manual_seed(3);
    const at::Tensor x = draw({s.batch, s.time, s.channels});
    const at::Tensor weight = draw({s.dims, s.channels, s.kernel});
    const at::Tensor bias = with_bias ? draw({s.dims}) : at::Tensor();
    const at::Tensor exact_x = exact(x);
    const at::Tensor exact_weight = exact(weight);
    const at::Tensor exact_bias = with_bias ? exact(bias) : at::Tensor();
    const at::Tensor want =
        at::conv1d(exact_x.transpose(1, 2), exact_weight, exact_bias, s.stride).transpose(1, 2);
    const at::Tensor got = strided_conv(x, weight, bias, {s.stride, type});
    ASSERT_EQ(got.sizes(), want.sizes());
    EXPECT_LT(relative(got, want), tolerance);
    const at::Tensor back = at::randn(got.sizes());
    (got * back).sum().backward();
    (want * back).sum().backward();
    EXPECT_LT(relative(x.grad(), exact_x.grad()), tolerance);
    EXPECT_LT(relative(weight.grad(), exact_weight.grad()), tolerance);
    if (!with_bias) return;
    EXPECT_LT(relative(bias.grad(), exact_bias.grad()), tolerance);
  }
};

INSTANTIATE_TEST_SUITE_P(Shapes, StridedConvolution,
                         ::testing::Values(Strided{"Waveform", 2, 203, 1, 40, 10, 5},
                                           Strided{"KernelOverStride", 2, 150, 24, 32, 3, 2},
                                           Strided{"KernelIsStride", 2, 151, 24, 32, 2, 2},
                                           Strided{"KernelUnderStride", 1, 77, 40, 16, 2, 3},
                                           Strided{"StrideOne", 3, 31, 24, 8, 4, 1},
                                           Strided{"OneFrame", 1, 3, 70, 8, 3, 2},
                                           Strided{"Large", 1, 3000, 128, 96, 3, 2}),
                         kNamed);

TEST_P(StridedConvolution, IsTorchs) { expect_same(true, at::kFloat, 1e-6); }
TEST_P(StridedConvolution, IsTorchsWithoutBias) { expect_same(false, at::kFloat, 1e-6); }
TEST_P(StridedConvolution, OfBfloat16IsRoundedOnly) { expect_same(true, at::kBFloat16, 2e-2); }

TEST(StridedConvolutionOfFrozenWeights, MakesNoGraph) {
  const at::Tensor y =
      strided_conv(at::randn({1, 20, 4}), at::randn({8, 4, 3}), at::Tensor(), {2, at::kFloat});
  EXPECT_FALSE(y.requires_grad());
}

struct Grouped {
  const char* name;
  std::int64_t batch, frames, dims, groups, kernel;
};
void PrintTo(const Grouped& g, std::ostream* out) { *out << g.name; }

class GroupedConvolution : public ::testing::TestWithParam<Grouped> {};

INSTANTIATE_TEST_SUITE_P(Shapes, GroupedConvolution,
                         ::testing::Values(Grouped{"Even", 2, 37, 48, 3, 16},
                                           Grouped{"Odd", 2, 37, 48, 3, 7},
                                           Grouped{"NarrowGroups", 1, 20, 24, 2, 8},
                                           Grouped{"OneFrame", 1, 1, 32, 2, 16},
                                           Grouped{"LongKernel", 1, 5, 32, 1, 128}),
                         kNamed);

TEST_P(GroupedConvolution, IsTorchs) {
  const Grouped g = GetParam();
  at::manual_seed(5);
  const at::Tensor x = draw({g.batch, g.frames, g.dims});
  const at::Tensor v = draw({g.dims, g.dims / g.groups, g.kernel});
  const at::Tensor length = draw({1, 1, g.kernel});
  const at::Tensor bias = draw({g.dims});
  const at::Tensor exact_x = exact(x);
  const at::Tensor exact_v = exact(v);
  const at::Tensor exact_length = exact(length);
  const at::Tensor exact_bias = exact(bias);
  const at::Tensor want =
      at::conv1d(exact_x.transpose(1, 2), at::_weight_norm(exact_v, exact_length, 2), exact_bias, 1,
                 g.kernel / 2, 1, g.groups)
          .narrow(2, 0, g.frames)
          .transpose(1, 2);
  const at::Tensor got = grouped_conv(x, {v, length}, bias);
  EXPECT_LT(relative(got, want), 1e-6);
  const at::Tensor back = at::randn(got.sizes());
  (got * back).sum().backward();
  (want * back).sum().backward();
  EXPECT_LT(relative(x.grad(), exact_x.grad()), 1e-6);
  EXPECT_LT(relative(v.grad(), exact_v.grad()), 1e-6);
  EXPECT_LT(relative(length.grad(), exact_length.grad()), 1e-5);  // sums that cancel
  EXPECT_LT(relative(bias.grad(), exact_bias.grad()), 1e-6);
}

}  // namespace
}  // namespace polyphony::nn
