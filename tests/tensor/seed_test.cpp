#include <polyphony/tensor/seed.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <polyphony/tensor/cpu_capability.h>
#include <polyphony/tensor/generator_snapshot.h>

namespace polyphony::tensor {
namespace {

/// What the original's generator drew (tests/golden/README.md).
const nlohmann::json& golden() {
  static const nlohmann::json cases = [] {
    const char* folder = std::getenv("POLYPHONY_GOLDEN_DIR");
    const std::string path =
        std::string(folder != nullptr ? folder : POLYPHONY_TEST_DIR "/golden") + "/misc/misc.json";
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path + " cannot be read");
    return nlohmann::json::parse(file);
  }();
  return cases;
}

/// The same draw here; undefined where the name is none of a draw.
at::Tensor draw(const std::string& name, std::int64_t size) {
  double p = 0;
  int seed = 0, n = 0;
  const auto seeded = [&] { seed_everything(static_cast<std::uint64_t>(seed)); };
  if (std::sscanf(name.c_str(), "bernoulli_%lf_seed%d_%d", &p, &seed, &n) == 3) {
    seeded();
    return at::empty({n}).bernoulli_(p);
  }
  if (std::sscanf(name.c_str(), "dropout_%lf_ones%d_seed%d", &p, &n, &seed) == 3) {
    seeded();
    return at::dropout(at::ones({n}), p, true);
  }
  if (std::sscanf(name.c_str(), "randn_seed%d_%d", &seed, &n) == 2) {
    seeded();
    return at::randn({n});
  }
  if (std::sscanf(name.c_str(), "rand_seed%d_f32", &seed) == 1) {
    seeded();
    return at::rand({size});
  }
  return {};
}

/// To the bit, but for normal numbers without vectors: there LibTorch computes the logarithm, sine
/// and cosine of the same uniform numbers by the C library's functions, not by its own of AVX2.
void expect_drawn(const at::Tensor& drawn, const at::Tensor& wanted, const std::string& name) {
  if (cpu_capability() == "NO AVX" && name.starts_with("randn")) {
    fmt::print("{}: to 2e-6, not to the bit: no vectors\n", name);
    EXPECT_LT((drawn - wanted).abs().max().item<double>(), 2e-6) << name;
  } else {
    EXPECT_TRUE(at::equal(drawn, wanted)) << name;
  }
}

TEST(Seed, DrawsTheStreamsOfTorch) {
  int cases = 0;
  for (const auto& [name, expected] : golden().items()) {
    if (!expected.is_array() || expected.empty() || !expected[0].is_number_float()) continue;
    const auto values = expected.get<std::vector<float>>();
    const at::Tensor drawn = draw(name, std::ssize(values));
    if (!drawn.defined()) continue;
    expect_drawn(drawn, at::tensor(values), name);
    ++cases;
  }
  fmt::print("random streams: {} cases\n", cases);
  EXPECT_GT(cases, 0);
}

TEST(Seed, DrawsTheIntegersOfTorch) {
  for (const auto& [name, expected] : golden().items()) {
    int seed = 0;
    if (std::sscanf(name.c_str(), "random_int64_seed%d", &seed) != 1) continue;
    seed_everything(static_cast<std::uint64_t>(seed));
    EXPECT_EQ(at::empty({}, at::kLong).random_().item<std::int64_t>(),
              expected.get<std::int64_t>());
  }
}

TEST(GeneratorSnapshot, IsTheStateOfThen) {
  at::manual_seed(7);
  at::randn({3});  // leaves a normal number for the next call
  const at::Tensor then = generator_state();
  GeneratorSnapshot snapshot;
  snapshot.take();
  at::randn({5});
  EXPECT_FALSE(at::equal(generator_state(), then));
  EXPECT_TRUE(at::equal(snapshot.state(), then));
}

}  // namespace
}  // namespace polyphony::tensor
