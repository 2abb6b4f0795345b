#pragma once

#include <string>
#include <string_view>

namespace polyphony::config {

/// UTF-8 to code points; a bad byte becomes U+FFFD.
std::u32string decode_utf8(std::string_view text);
void append_utf8(std::string& out, char32_t code);

}  // namespace polyphony::config
