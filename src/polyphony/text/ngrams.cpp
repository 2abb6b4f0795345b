#include <polyphony/text/ngrams.h>

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>
#include <unicode/utf8.h>

#include <polyphony/base/error.h>

namespace polyphony::text {
namespace {

std::vector<std::uint32_t> between_blanks(std::string_view utf8) {
  constexpr std::uint32_t kBlank = 0x20;
  std::vector<std::uint32_t> points{kBlank};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
  const auto length = static_cast<std::int64_t>(utf8.size());
  for (std::int64_t i = 0; i < length;) {
    UChar32 point = 0;
    U8_NEXT_OR_FFFD(bytes, i, length, point);
    points.push_back(static_cast<std::uint32_t>(point));
  }
  points.push_back(kBlank);
  return points;
}

/// FNV-1a over the four bytes of a code point.
std::uint64_t add(std::uint64_t hash, std::uint32_t point) {
  constexpr std::uint64_t kPrime = 1099511628211ULL;
  for (int shift = 0; shift < 32; shift += 8) {
    hash = (hash ^ ((point >> shift) & 0xFFU)) * kPrime;
  }
  return hash;
}

/// Spreads the bits, since a bucket is taken by remainder. Source: MurmurHash3's fmix64.
std::uint64_t finish(std::uint64_t hash) {
  hash = (hash ^ (hash >> 33U)) * 0xFF51AFD7ED558CCDULL;
  hash = (hash ^ (hash >> 33U)) * 0xC4CEB9FE1A85EC53ULL;
  return hash ^ (hash >> 33U);
}

}  // namespace

std::vector<std::int64_t> hashed_ngrams(std::string_view utf8, int max_n, std::int64_t buckets) {
  if (max_n < 1) throw ConfigError(fmt::format("ngrams.max_n: {} is below 1", max_n));
  if (buckets < 2) throw ConfigError(fmt::format("ngrams.buckets: {} is below 2", buckets));
  constexpr std::uint64_t kOffset = 14695981039346656037ULL;
  const std::vector<std::uint32_t> points = between_blanks(utf8);
  const auto width = static_cast<std::size_t>(max_n);
  std::vector<std::int64_t> hashes(points.size() * width, 0);
  for (std::size_t at = 0; at < points.size(); ++at) {
    std::uint64_t hash = kOffset;
    const std::size_t most = std::min(width, points.size() - at);
    for (std::size_t n = 0; n < most; ++n) {
      hash = add(hash, points[at + n]);
      const std::uint64_t bucket = finish(hash) % static_cast<std::uint64_t>(buckets - 1);
      hashes[at * width + n] = 1 + static_cast<std::int64_t>(bucket);
    }
  }
  return hashes;
}

}  // namespace polyphony::text
