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
void relu_back(const float* g, const float* y, float factor, std::int64_t n, float* out);

}  // namespace polyphony::nn::floats
