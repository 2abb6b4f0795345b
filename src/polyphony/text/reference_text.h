#pragma once

#include <string>
#include <string_view>

namespace polyphony::text {

/// The original's own cleaning of transcripts: every run of characters that are neither Latin
/// letters, Hangul syllables or consonants, digits nor one of ".!?" becomes a blank. Bytes that are
/// not UTF-8 count as such characters.
std::string reference_text(std::string_view utf8);

}  // namespace polyphony::text
