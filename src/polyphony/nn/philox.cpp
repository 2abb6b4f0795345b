#include <polyphony/nn/philox.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace polyphony::nn {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;
constexpr int kLanes = 16;  // counters of a group

constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

#if defined(__x86_64__)

// A word lives in the lower half of a 64-bit lane: the product reads nothing else, so what stands
// in the upper half need not be cleared.

__attribute__((target("avx512f"))) void draw_avx512(const BernoulliGroups& draws,
                                                    std::int64_t first_group, std::int64_t groups,
                                                    float* out) {
  const __m512i multiplier0 = _mm512_set1_epi64(kMultiplier0);
  const __m512i multiplier1 = _mm512_set1_epi64(kMultiplier1);
  const __m512i lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i words = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i keep = _mm512_set1_epi32(static_cast<int>(draws.keep));
  const __m512i lower = _mm512_set1_epi32(0xFFFF);
  const __m512 factor = _mm512_set1_ps(draws.factor);
  for (std::int64_t group = first_group; group < first_group + groups; ++group) {
    __m512i c[2][4];
    for (int half = 0; half < 2; ++half) {
      c[half][0] = _mm512_add_epi64(_mm512_set1_epi64(group * kLanes + half * 8), lanes);
      c[half][1] = _mm512_srli_epi64(c[half][0], 32);
      c[half][2] = c[half][3] = _mm512_setzero_si512();
    }
    std::uint32_t key0 = low(draws.key);
    std::uint32_t key1 = high(draws.key);
    for (int round = 0; round < kRounds; ++round) {
      const __m512i k0 = _mm512_set1_epi64(key0);
      const __m512i k1 = _mm512_set1_epi64(key1);
      for (auto& x : c) {
        const __m512i a = _mm512_mul_epu32(x[0], multiplier0);
        const __m512i b = _mm512_mul_epu32(x[2], multiplier1);
        constexpr int kXor = 0x96;
        x[0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(b, 32), x[1], k0, kXor);
        x[2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(a, 32), x[3], k1, kXor);
        x[1] = b;
        x[3] = a;
      }
      key0 += kWeyl0;
      key1 += kWeyl1;
    }
    for (int word = 0; word < 4; ++word, out += kLanes) {
      const __m512i bits = _mm512_permutex2var_epi32(c[0][word], words, c[1][word]);
      const __mmask16 first = _mm512_cmplt_epu32_mask(_mm512_and_si512(bits, lower), keep);
      const __mmask16 second = _mm512_cmplt_epu32_mask(_mm512_srli_epi32(bits, 16), keep);
      _mm512_storeu_ps(out, _mm512_maskz_mov_ps(first, factor));
      _mm512_storeu_ps(out + 4 * kLanes, _mm512_maskz_mov_ps(second, factor));
    }
    out += 4 * kLanes;
  }
}

__attribute__((target("avx2"))) void draw_avx2(const BernoulliGroups& draws,
                                               std::int64_t first_group, std::int64_t groups,
                                               float* out) {
  const __m256i multiplier0 = _mm256_set1_epi64x(kMultiplier0);
  const __m256i multiplier1 = _mm256_set1_epi64x(kMultiplier1);
  const __m256i lanes = _mm256_set_epi64x(3, 2, 1, 0);
  const __m256i keep = _mm256_set1_epi32(static_cast<int>(draws.keep));
  const __m256i lower = _mm256_set1_epi32(0xFFFF);
  const __m256i factor = _mm256_castps_si256(_mm256_set1_ps(draws.factor));
  for (std::int64_t group = first_group; group < first_group + groups; ++group) {
    __m256i c[4][4];
    for (int part = 0; part < 4; ++part) {
      c[part][0] = _mm256_add_epi64(_mm256_set1_epi64x(group * kLanes + part * 4), lanes);
      c[part][1] = _mm256_srli_epi64(c[part][0], 32);
      c[part][2] = c[part][3] = _mm256_setzero_si256();
    }
    std::uint32_t key0 = low(draws.key);
    std::uint32_t key1 = high(draws.key);
    for (int round = 0; round < kRounds; ++round) {
      const __m256i k0 = _mm256_set1_epi64x(key0);
      const __m256i k1 = _mm256_set1_epi64x(key1);
      for (auto& x : c) {
        const __m256i a = _mm256_mul_epu32(x[0], multiplier0);
        const __m256i b = _mm256_mul_epu32(x[2], multiplier1);
        x[0] = _mm256_xor_si256(_mm256_srli_epi64(b, 32), _mm256_xor_si256(x[1], k0));
        x[2] = _mm256_xor_si256(_mm256_srli_epi64(a, 32), _mm256_xor_si256(x[3], k1));
        x[1] = b;
        x[3] = a;
      }
      key0 += kWeyl0;
      key1 += kWeyl1;
    }
    for (int word = 0; word < 4; ++word) {
      for (int half = 0; half < 2; ++half) {
        // [a0 . a1 . | a2 . a3 .] and [b0 . b1 . | b2 . b3 .] -> a0 a1 a2 a3 b0 b1 b2 b3
        const __m256i mixed = _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castsi256_ps(c[2 * half][word]),
                              _mm256_castsi256_ps(c[2 * half + 1][word]), 0x88));
        const __m256i bits = _mm256_permute4x64_epi64(mixed, 0xD8);
        float* place = out + word * kLanes + half * 8;
        const __m256i first = _mm256_cmpgt_epi32(keep, _mm256_and_si256(bits, lower));
        const __m256i second = _mm256_cmpgt_epi32(keep, _mm256_srli_epi32(bits, 16));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(place), _mm256_and_si256(first, factor));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(place + 4 * kLanes),
                            _mm256_and_si256(second, factor));
      }
    }
    out += BernoulliGroups::kGroup;
  }
}

#endif

void draw_portable(const BernoulliGroups& draws, std::int64_t first_group, std::int64_t groups,
                   float* out) {
  for (std::int64_t group = first_group; group < first_group + groups; ++group) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto words = philox(draws.key, static_cast<std::uint64_t>(group * kLanes + lane));
      for (int word = 0; word < 4; ++word) {
        const std::uint32_t bits = words[static_cast<std::size_t>(word)];
        out[word * kLanes + lane] = (bits & 0xFFFF) < draws.keep ? draws.factor : 0.0F;
        out[(4 + word) * kLanes + lane] = (bits >> 16) < draws.keep ? draws.factor : 0.0F;
      }
    }
    out += BernoulliGroups::kGroup;
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter) {
  std::array<std::uint32_t, 4> c = {low(counter), high(counter), 0, 0};
  std::uint32_t key0 = low(key);
  std::uint32_t key1 = high(key);
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t a = std::uint64_t{kMultiplier0} * c[0];
    const std::uint64_t b = std::uint64_t{kMultiplier1} * c[2];
    c = {high(b) ^ c[1] ^ key0, low(b), high(a) ^ c[3] ^ key1, low(a)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return c;
}

void BernoulliGroups::draw(std::int64_t first_group, std::int64_t groups, float* out,
                           Instructions most) const {
#if defined(__x86_64__)
  static const bool avx512 = __builtin_cpu_supports("avx512f") != 0;
  static const bool avx2 = __builtin_cpu_supports("avx2") != 0;
  if (avx512 && most == Instructions::kAvx512) return draw_avx512(*this, first_group, groups, out);
  if (avx2 && most != Instructions::kPortable) return draw_avx2(*this, first_group, groups, out);
#endif
  draw_portable(*this, first_group, groups, out);
}

}  // namespace polyphony::nn
