#pragma once

#include <string>
#include <string_view>

namespace polyphony::config {

/// UTF-8 to code points; a bad byte becomes U+FFFD.
std::u32string decode_utf8(std::string_view text);
/// Bytes of the character a text begins with, and its code point; 0 where it is no UTF-8.
std::size_t utf8_size(std::string_view text, char32_t& code);
void append_utf8(std::string& out, char32_t code);

}  // namespace polyphony::config
