#include <polyphony/text/reference_text.h>

#include <cstdint>

#include <unicode/utf8.h>

namespace polyphony::text {
namespace {

bool kept(UChar32 c) {
  const auto in = [c](UChar32 first, UChar32 last) { return c >= first && c <= last; };
  return in('a', 'z') || in('A', 'Z') || in('0', '9') || c == '.' || c == '!' || c == '?' ||
         in(0xAC00, 0xD7A3) ||  // syllables
         in(0x3131, 0x314E);    // consonants alone
}

}  // namespace

std::string reference_text(std::string_view utf8) {
  std::string cleaned;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
  const auto size = static_cast<std::int32_t>(utf8.size());
  bool blank = false;
  for (std::int32_t at = 0; at < size;) {
    const std::int32_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);
    if (c >= 0 && kept(c)) {
      cleaned.append(
          utf8.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(at - begin)));
      blank = false;
    } else if (!blank) {
      cleaned += ' ';
      blank = true;
    }
  }
  return cleaned;
}

}  // namespace polyphony::text
