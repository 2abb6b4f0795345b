#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace polyphony::nn {

/// numpy's legacy generator `np.random.RandomState(seed)`, draw for draw: MT19937 (Matsumoto and
/// Nishimura, 1998). For what Python code computes with `np.random`, such as SpecAugment's masks.
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint32_t seed);

  std::uint32_t next();
  /// `np.random.rand()`: uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [0, most]. @param most  below 2^32
  std::uint32_t interval(std::uint32_t most);
  /// `np.random.permutation(n)`.
  std::vector<std::int64_t> permutation(std::int64_t n);

 private:
  static constexpr std::size_t kWords = 624;
  void twist();

  std::array<std::uint32_t, kWords> state_{};
  std::size_t place_ = kWords;
};

}  // namespace polyphony::nn
