#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace polyphony::text {

/// Which n-grams of a text count.
struct NgramOrders {
  int characters = 4;  ///< longest n-gram of code points, at least 1
  int words = 0;       ///< longest n-gram of words; 0: none

  int width() const { return characters + words; }
};

/// Hashed n-grams of characters and of words. The text is set between two blanks; at each of its
/// code points, blanks included, stand the hashes of the n-grams of 1 to `characters` code points
/// that begin there and, where a word begins, of 1 to `words` words. A word is a run of letters,
/// marks, digits and underscores; every other character but white space is a word by itself.
/// @param utf8     normalised text; bytes that are not UTF-8 count as U+FFFD
/// @param buckets  number of hash values, at least 2
/// @return row-major [code points + 2, orders.width()]; each in [1, buckets), or 0 where the text
///         ends sooner or no word begins. The same on every machine: 64-bit FNV-1a over the code
///         points, then a finaliser.
/// @throws ConfigError for orders or buckets out of range
std::vector<std::int64_t> hashed_ngrams(std::string_view utf8, const NgramOrders& orders,
                                        std::int64_t buckets);

}  // namespace polyphony::text
