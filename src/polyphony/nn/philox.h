#pragma once

#include <array>
#include <cstdint>

namespace polyphony::nn {

/// Philox 4x32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
/// 2011): four words that are a function of a key and a counter alone.
std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter);

/// Bernoulli draws, 128 to a group, as factors: `factor` with probability `keep` / 65536, else 0.
/// Compiled for AVX-512, AVX2 and any processor; all give the same draws.
///
/// Group g takes the counters 16 g to 16 g + 15. Element 16 w + l of a group reads the lower half
/// of word w of counter 16 g + l, element 64 + 16 w + l the upper half.
/// @param out  float [groups * 128]
struct BernoulliGroups {
  std::uint64_t key = 0;
  std::uint32_t keep = 0;  ///< at most 65536
  float factor = 0;

  static constexpr std::int64_t kGroup = 128;
  enum class Instructions { kPortable, kAvx2, kAvx512 };
  /// @param most  vector instructions to use at most; fewer if the processor lacks them
  void draw(std::int64_t first_group, std::int64_t groups, float* out,
            Instructions most = Instructions::kAvx512) const;
};

}  // namespace polyphony::nn
