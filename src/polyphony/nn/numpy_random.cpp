#include <polyphony/nn/numpy_random.h>

#include <numeric>
#include <utility>

namespace polyphony::nn {

NumpyRandom::NumpyRandom(std::uint32_t seed) {
  state_[0] = seed;
  for (std::uint32_t i = 1; i < kWords; ++i) {
    const std::uint32_t before = state_[i - 1];
    state_[i] = 1812433253U * (before ^ before >> 30) + i;
  }
}

void NumpyRandom::twist() {
  constexpr std::size_t kShift = 397;
  for (std::size_t i = 0; i < kWords; ++i) {
    const std::uint32_t joined =
        (state_[i] & 0x80000000U) | (state_[(i + 1) % kWords] & 0x7fffffffU);
    state_[i] =
        state_[(i + kShift) % kWords] ^ joined >> 1 ^ ((joined & 1U) != 0 ? 0x9908b0dfU : 0U);
  }
  place_ = 0;
}

std::uint32_t NumpyRandom::next() {
  if (place_ == kWords) twist();
  std::uint32_t word = state_[place_++];
  word ^= word >> 11;
  word ^= word << 7 & 0x9d2c5680U;
  word ^= word << 15 & 0xefc60000U;
  return word ^ word >> 18;
}

double NumpyRandom::uniform() {
  const std::uint32_t high = next() >> 5;
  const std::uint32_t low = next() >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

std::uint32_t NumpyRandom::interval(std::uint32_t most) {
  if (most == 0) return 0;
  std::uint32_t mask = most;
  for (unsigned int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
  std::uint32_t value = next() & mask;
  while (value > most) value = next() & mask;
  return value;
}

std::vector<std::int64_t> NumpyRandom::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n < 0 ? 0 : n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = order.size(); i-- > 1;) {
    std::swap(order[i], order[interval(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

}  // namespace polyphony::nn
