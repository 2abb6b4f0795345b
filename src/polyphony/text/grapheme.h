#pragma once

#include <cstddef>
#include <string_view>

namespace polyphony::text {

/// Where the user-perceived character that begins at `at` ends: the extended grapheme cluster of
/// Unicode's annex 29. @param at  start of a cluster, below text.size(); the text is valid UTF-8
std::size_t grapheme_end(std::string_view text, std::size_t at);

}  // namespace polyphony::text
