#include <polyphony/nn/floats.h>

#include <algorithm>
#include <cmath>

namespace polyphony::nn::floats {
namespace {

// Sums over sixteen lanes: the compiler must not reorder a sum of floats by itself.
constexpr int kLanes = 16;
using Lanes = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

#define POLYPHONY_INLINE inline __attribute__((always_inline))

POLYPHONY_INLINE float sum_of(const Lanes& lanes) {
  float half[8], quarter[4];
  for (int i = 0; i < 8; ++i) half[i] = lanes[i] + lanes[i + 8];
  for (int i = 0; i < 4; ++i) quarter[i] = half[i] + half[i + 4];
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

/// The sum of term(i), which is a float, over [0, n).
template <class Wide, class Narrow>
POLYPHONY_INLINE float sum_over(std::int64_t n, const Wide& wide, const Narrow& narrow) {
  Lanes sums = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) wide(i, sums);
  float sum = sum_of(sums);
  for (; i < n; ++i) sum += narrow(i);
  return sum;
}

POLYPHONY_INLINE const Lanes& lanes_at(const float* x) {
  return *reinterpret_cast<const Lanes*>(x);
}
POLYPHONY_INLINE Lanes& lanes_at(float* x) { return *reinterpret_cast<Lanes*>(x); }

/// e^x for x <= 0, by 2^n times a polynomial of the rest (as in Cephes); 0 below -87.
POLYPHONY_INLINE float exp_of(float x) {
  const float bounded = x < -87.0F ? -87.0F : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  const float shifted = bounded * 1.44269504088896341F + kRound;
  const float whole = shifted - kRound;
  float r = bounded - whole * 0.693359375F;
  r = r + whole * 2.12194440e-4F;
  float y = 1.9875691500e-4F;
  y = y * r + 1.3981999507e-3F;
  y = y * r + 8.3334519073e-3F;
  y = y * r + 4.1665795894e-2F;
  y = y * r + 1.6666665459e-1F;
  y = y * r + 5.0000001201e-1F;
  y = y * r * r + r + 1.0F;
  const auto exponent = (__builtin_bit_cast(std::int32_t, shifted) << 23) + 0x3F800000;
  const float power = __builtin_bit_cast(float, exponent);
  return x < -87.0F ? 0.0F : y * power;
}

}  // namespace

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

POLYPHONY_VECTORIZED void relu_backward(const float* g, const float* y, float factor,
                                        std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = y[i] > 0.0F ? g[i] * factor : 0.0F;
}

POLYPHONY_VECTORIZED void accumulate(const float* x, std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] += x[i];
}

POLYPHONY_VECTORIZED void affine(const float* x, const float* a, const float* b, std::int64_t n,
                                 float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * a[i] + b[i];
}

POLYPHONY_VECTORIZED void accumulate_product(const float* x, const float* y, std::int64_t n,
                                             float* sums) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) sums[i] += x[i] * y[i];
}

POLYPHONY_VECTORIZED void accumulate_scaled(const float* x, float a, std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] += x[i] * a;
}

POLYPHONY_VECTORIZED void scale(const float* x, float a, std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * a;
}

POLYPHONY_VECTORIZED void rotate(const float* x, const float* c, const float* s, std::int64_t n,
                                 float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; i += 2) {
    out[i] = x[i] * c[i] + x[i + 1] * s[i];
    out[i + 1] = x[i + 1] * c[i + 1] + x[i] * s[i + 1];
  }
}

POLYPHONY_VECTORIZED void rotate_backward(const float* x, const float* c, const float* s,
                                          std::int64_t n, float* out) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; i += 2) {
    out[i] = x[i] * c[i] + x[i + 1] * s[i + 1];
    out[i + 1] = x[i + 1] * c[i + 1] + x[i] * s[i];
  }
}

POLYPHONY_VECTORIZED float dot(const float* x, const float* y, std::int64_t n) {
  return sum_over(
      n, [&](std::int64_t i, Lanes& s) { s += lanes_at(x + i) * lanes_at(y + i); },
      [&](std::int64_t i) { return x[i] * y[i]; });
}

POLYPHONY_VECTORIZED float normalize(const float* x, std::int64_t n, float eps, float* out) {
  const auto count = static_cast<float>(n);
  const float mean = sum_over(
                         n, [&](std::int64_t i, Lanes& s) { s += lanes_at(x + i); },
                         [&](std::int64_t i) { return x[i]; }) /
                     count;
  const float squares = sum_over(
      n,
      [&](std::int64_t i, Lanes& s) {
        const Lanes d = lanes_at(x + i) - mean;
        s += d * d;
      },
      [&](std::int64_t i) { return (x[i] - mean) * (x[i] - mean); });
  const float rstd = 1.0F / std::sqrt(squares / count + eps);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd;
  return rstd;
}

POLYPHONY_VECTORIZED void normalize_backward(const float* g, const float* xhat, float rstd,
                                             std::int64_t n, float* out) {
  const auto count = static_cast<float>(n);
  const float mean = sum_over(
                         n, [&](std::int64_t i, Lanes& s) { s += lanes_at(g + i); },
                         [&](std::int64_t i) { return g[i]; }) /
                     count;
  const float slope =
      sum_over(
          n, [&](std::int64_t i, Lanes& s) { s += lanes_at(g + i) * lanes_at(xhat + i); },
          [&](std::int64_t i) { return g[i] * xhat[i]; }) /
      count;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) out[i] = rstd * (g[i] - mean - xhat[i] * slope);
}

POLYPHONY_VECTORIZED void softmax(float* x, std::int64_t n) {
  float largest = x[0];
  std::int64_t i = 0;
  if (n >= kLanes) {
    Lanes most = lanes_at(x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      const Lanes& next = lanes_at(x + i);
      most = next > most ? next : most;
    }
    for (int lane = 0; lane < kLanes; ++lane) largest = std::max(largest, most[lane]);
  }
  for (; i < n; ++i) largest = std::max(largest, x[i]);
#pragma GCC ivdep
  for (std::int64_t j = 0; j < n; ++j) x[j] = exp_of(x[j] - largest);
  const float sum = sum_over(
      n, [&](std::int64_t j, Lanes& s) { s += lanes_at(x + j); },
      [&](std::int64_t j) { return x[j]; });
  const float share = 1.0F / sum;
#pragma GCC ivdep
  for (std::int64_t j = 0; j < n; ++j) x[j] *= share;
}

POLYPHONY_VECTORIZED void softmax_backward(const float* p, std::int64_t n, float* x) {
  const float sum = sum_over(
      n, [&](std::int64_t i, Lanes& s) { s += lanes_at(p + i) * lanes_at(x + i); },
      [&](std::int64_t i) { return p[i] * x[i]; });
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) x[i] = p[i] * (x[i] - sum);
}

namespace {

/// kRows by kWide * 16 elements of c, kept in registers.
template <int kRows, int kWide>
POLYPHONY_INLINE void multiply_tile(const SmallProduct& p, std::int64_t row, std::int64_t column) {
  Lanes sums[kRows][kWide];
  for (int r = 0; r < kRows; ++r) {
    for (int w = 0; w < kWide; ++w) {
      sums[r][w] = lanes_at(p.c + (row + r) * p.ldc + column + w * kLanes);
    }
  }
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + column;
  for (std::int64_t k = 0; k < p.k; ++k, a += p.a_column, b += p.ldb) {
    Lanes line[kWide];
    for (int w = 0; w < kWide; ++w) line[w] = lanes_at(b + w * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const float factor = a[r * p.a_row];
      for (int w = 0; w < kWide; ++w) sums[r][w] += line[w] * factor;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int w = 0; w < kWide; ++w) {
      lanes_at(p.c + (row + r) * p.ldc + column + w * kLanes) = sums[r][w];
    }
  }
}

template <int kRows>
POLYPHONY_INLINE void multiply_rows(const SmallProduct& p, std::int64_t row) {
  std::int64_t column = 0;
  for (; column + 2 * kLanes <= p.n; column += 2 * kLanes) multiply_tile<kRows, 2>(p, row, column);
  if (column < p.n) multiply_tile<kRows, 1>(p, row, column);
}

}  // namespace

POLYPHONY_VECTORIZED void multiply_small(const SmallProduct& p) {
  std::int64_t row = 0;
  for (; row + 8 <= p.m; row += 8) multiply_rows<8>(p, row);
  for (; row + 4 <= p.m; row += 4) multiply_rows<4>(p, row);
  for (; row < p.m; ++row) multiply_rows<1>(p, row);
}

}  // namespace polyphony::nn::floats
