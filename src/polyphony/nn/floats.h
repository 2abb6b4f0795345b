#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

// Loops over float arrays, compiled for AVX-512, AVX2 and any processor; which one is chosen when
// the program is loaded. Arrays do not overlap unless they are said to be the same.

/// Before the definition of such a loop.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define POLYPHONY_VECTORIZED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define POLYPHONY_VECTORIZED
#endif

namespace polyphony::nn::floats {

void widen(const c10::BFloat16* from, std::int64_t n, float* to);
/// Rounds to nearest, ties to even; NaN stays NaN.
void narrow(const float* from, std::int64_t n, c10::BFloat16* to);

/// `n` numbers as floats: where they lie, or widened into `buffer`.
inline const float* view(const float* from, std::int64_t, float*) { return from; }
inline const float* view(const c10::BFloat16* from, std::int64_t n, float* buffer) {
  widen(from, n, buffer);
  return buffer;
}
/// Where to write `n` floats that `put` brings to `to`: there, or to `buffer`.
inline float* place(float* to, float*) { return to; }
inline float* place(c10::BFloat16*, float* buffer) { return buffer; }
inline void put(const float*, std::int64_t, float*) {}
inline void put(const float* written, std::int64_t n, c10::BFloat16* to) { narrow(written, n, to); }

/// out = x f; out may be x.
void multiply(const float* x, const float* f, std::int64_t n, float* out);
/// out = r + x f; out may be x or r.
void add_product(const float* r, const float* x, const float* f, std::int64_t n, float* out);
/// out = max(x, 0) f; NaN stays NaN; out may be x.
void relu_product(const float* x, const float* f, std::int64_t n, float* out);
/// out = g factor where y > 0, else 0; out may be g.
void relu_backward(const float* g, const float* y, float factor, std::int64_t n, float* out);

/// out += x; out = x a + b, with a, b as long as x.
void accumulate(const float* x, std::int64_t n, float* out);
void affine(const float* x, const float* a, const float* b, std::int64_t n, float* out);
/// sums += x y.
void accumulate_product(const float* x, const float* y, std::int64_t n, float* sums);
/// out += x a; out = x a.
void accumulate_scaled(const float* x, float a, std::int64_t n, float* out);
void scale(const float* x, float a, std::int64_t n, float* out);
float dot(const float* x, const float* y, std::int64_t n);

/// out = x c + swapped(x) s, where neighbours (2i, 2i + 1) swap places. n even.
void rotate(const float* x, const float* c, const float* s, std::int64_t n, float* out);
/// Its transpose: out = x c + swapped(x s).
void rotate_backward(const float* x, const float* c, const float* s, std::int64_t n, float* out);

/// Layer norm's centre: out = (x - mean) / sqrt(variance + eps); out may be x.
/// @return 1 / sqrt(variance + eps)
float normalize(const float* x, std::int64_t n, float eps, float* out);
/// Its gradient: out = rstd (g - mean(g) - xhat mean(g xhat)); out may be g.
void normalize_backward(const float* g, const float* xhat, float rstd, std::int64_t n, float* out);

/// x = exp(x - max) / sum, of a row; exact to 2 ulp. n at least 1.
void softmax(float* x, std::int64_t n);
/// x = p (x - sum(p x)): the gradient of softmax.
void softmax_backward(const float* p, std::int64_t n, float* x);

/// The next multiple of 16: the width of what `multiply_small` takes.
inline std::int64_t padded(std::int64_t n) { return (n + 15) / 16 * 16; }

/// c[m][n] += sum over k of a[m * a_row + k * a_column] * b[k * ldb + n]; small matrices that fit
/// the caches. @param n  a multiple of 16; rows of b and c are readable to there
struct SmallProduct {
  std::int64_t m, n, k;
  const float* a;
  std::int64_t a_row, a_column;
  const float* b;
  std::int64_t ldb;
  float* c;
  std::int64_t ldc;
};
void multiply_small(const SmallProduct& p);

}  // namespace polyphony::nn::floats
