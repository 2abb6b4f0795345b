#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace polyphony::text {

/// Hashed character n-grams. The text is set between two blanks; at each of its code points, blanks
/// included, stand the hashes of the 1- to max_n-grams that begin there.
/// @param utf8     normalised text; bytes that are not UTF-8 count as U+FFFD
/// @param max_n    longest n-gram in code points, at least 1
/// @param buckets  number of hash values, at least 2
/// @return row-major [code points + 2, max_n]; each in [1, buckets), or 0 where the text ends
/// sooner.
///         The same on every machine: 64-bit FNV-1a over the code points, then a finaliser.
/// @throws ConfigError for max_n or buckets out of range
std::vector<std::int64_t> hashed_ngrams(std::string_view utf8, int max_n, std::int64_t buckets);

}  // namespace polyphony::text
