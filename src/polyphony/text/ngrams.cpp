#include <polyphony/text/ngrams.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>
#include <unicode/uchar.h>

#include <polyphony/base/error.h>
#include <polyphony/base/utf8.h>

namespace polyphony::text {
namespace {

std::vector<std::uint32_t> between_blanks(std::string_view utf8) {
  constexpr std::uint32_t kBlank = 0x20;
  std::vector<std::uint32_t> points{kBlank};
  while (!utf8.empty()) {
    const DecodedPoint point = decode_point(utf8);
    points.push_back(point.value);
    utf8.remove_prefix(point.size);
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

constexpr std::uint64_t kOffset = 14695981039346656037ULL;
constexpr std::uint64_t kWordOffset = ~kOffset;  // a word is not the characters it is made of

class Hashes {
 public:
  Hashes(std::size_t positions, const NgramOrders& orders, std::int64_t buckets)
      : width_(static_cast<std::size_t>(orders.width())),
        buckets_(static_cast<std::uint64_t>(buckets)),
        values_(positions * width_, 0) {}

  void set(std::size_t position, std::size_t column, std::uint64_t hash) {
    values_[position * width_ + column] =
        1 + static_cast<std::int64_t>(finish(hash) % (buckets_ - 1));
  }
  std::vector<std::int64_t> take() { return std::move(values_); }

 private:
  std::size_t width_;
  std::uint64_t buckets_;
  std::vector<std::int64_t> values_;
};

void hash_characters(const std::vector<std::uint32_t>& points, std::size_t longest, Hashes& into) {
  for (std::size_t at = 0; at < points.size(); ++at) {
    std::uint64_t hash = kOffset;
    const std::size_t most = std::min(longest, points.size() - at);
    for (std::size_t n = 0; n < most; ++n) {
      hash = add(hash, points[at + n]);
      into.set(at, n, hash);
    }
  }
}

struct Word {
  std::size_t begin, end;  // positions
};

bool joins_words(std::uint32_t point) {
  const auto c = static_cast<UChar32>(point);
  return u_isalnum(c) != 0 || c == '_' || (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0;
}

std::vector<Word> words_of(const std::vector<std::uint32_t>& points) {
  std::vector<Word> words;
  for (std::size_t at = 0; at < points.size();) {
    if (u_isUWhiteSpace(static_cast<UChar32>(points[at])) != 0) {
      ++at;
      continue;
    }
    const std::size_t begin = at++;
    if (joins_words(points[begin])) {
      while (at < points.size() && joins_words(points[at])) ++at;
    }
    words.push_back({begin, at});
  }
  return words;
}

/// @param column  of the one-word n-grams
void hash_words(const std::vector<std::uint32_t>& points, std::size_t longest, std::size_t column,
                Hashes& into) {
  constexpr std::uint32_t kBetween = 0x20;
  const std::vector<Word> words = words_of(points);
  for (std::size_t first = 0; first < words.size(); ++first) {
    std::uint64_t hash = kWordOffset;
    const std::size_t most = std::min(longest, words.size() - first);
    for (std::size_t n = 0; n < most; ++n) {
      const Word& word = words[first + n];
      for (std::size_t at = word.begin; at < word.end; ++at) hash = add(hash, points[at]);
      hash = add(hash, kBetween);
      into.set(words[first].begin, column + n, hash);
    }
  }
}

}  // namespace

std::vector<std::int64_t> hashed_ngrams(std::string_view utf8, const NgramOrders& orders,
                                        std::int64_t buckets) {
  if (orders.characters < 1)
    throw ConfigError(fmt::format("ngrams.max_n: {} is below 1", orders.characters));
  if (orders.words < 0)
    throw ConfigError(fmt::format("ngrams.max_words: {} is below 0", orders.words));
  if (buckets < 2) throw ConfigError(fmt::format("ngrams.buckets: {} is below 2", buckets));
  const std::vector<std::uint32_t> points = between_blanks(utf8);
  const auto characters = static_cast<std::size_t>(orders.characters);
  Hashes hashes(points.size(), orders, buckets);
  hash_characters(points, characters, hashes);
  if (orders.words > 0)
    hash_words(points, static_cast<std::size_t>(orders.words), characters, hashes);
  return hashes.take();
}

}  // namespace polyphony::text
