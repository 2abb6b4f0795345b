#include <polyphony/nn/floats.h>

namespace polyphony::nn::floats {

POLYPHONY_VECTORIZED void widen(const c10::BFloat16* from, std::int64_t n, float* to) {
  const auto* bits = reinterpret_cast<const std::uint16_t*>(from);
  for (std::int64_t i = 0; i < n; ++i) {
    to[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(bits[i]) << 16);
  }
}

POLYPHONY_VECTORIZED void narrow(const float* from, std::int64_t n, c10::BFloat16* to) {
  auto* bits = reinterpret_cast<std::uint16_t*>(to);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto x = __builtin_bit_cast(std::uint32_t, from[i]);
    const std::uint32_t rounded = (x + 0x7FFF + ((x >> 16) & 1)) >> 16;
    const std::uint32_t quiet = (x >> 16) | 0x40;
    bits[i] = static_cast<std::uint16_t>((x & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
  }
}

POLYPHONY_VECTORIZED void multiply(const float* x, const float* f, std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * f[i];
}

POLYPHONY_VECTORIZED void add_product(const float* r, const float* x, const float* f,
                                      std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = r[i] + x[i] * f[i];
}

POLYPHONY_VECTORIZED void relu_product(const float* x, const float* f, std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = (x[i] < 0.0F ? 0.0F : x[i]) * f[i];
}

POLYPHONY_VECTORIZED void relu_back(const float* g, const float* y, float factor, std::int64_t n,
                                    float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = y[i] > 0.0F ? g[i] * factor : 0.0F;
}

}  // namespace polyphony::nn::floats
