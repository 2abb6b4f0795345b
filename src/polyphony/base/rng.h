#pragma once

#include <cstdint>
#include <vector>

namespace polyphony {

/// SplitMix64 (Steele, Lea and Flood, 2014): a stream is a function of its seed alone.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// Uniform in [0, bound), without bias. @param bound  at least 1
  std::uint64_t below(std::uint64_t bound);

 private:
  std::uint64_t state_;
};

/// A stream's seed from a run's seed and what the stream is for, e.g. an epoch.
std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream);

/// The numbers 0 to n-1 in an order that is a function of the seed alone.
std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed);

}  // namespace polyphony
