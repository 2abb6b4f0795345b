#include <polyphony/text/utf8.h>

#include <cstring>

#include <unicode/utf8.h>

namespace polyphony::text {

bool is_ascii(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & kHighBits) != 0) return false;
  }
  for (; at < text.size(); ++at) {
    if (static_cast<unsigned char>(text[at]) >= 0x80) return false;
  }
  return true;
}

std::size_t valid_prefix(std::string_view bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto length = static_cast<std::int64_t>(bytes.size());
  for (std::int64_t at = 0; at < length;) {
    const std::int64_t begin = at;
    UChar32 point = 0;
    U8_NEXT(data, at, length, point);
    if (point < 0) return static_cast<std::size_t>(begin);
  }
  return bytes.size();
}

std::size_t make_valid(std::string_view bytes, std::string& text) {
  text.clear();
  std::size_t replaced = 0;
  while (!bytes.empty()) {
    const std::size_t valid = is_ascii(bytes) ? bytes.size() : valid_prefix(bytes);
    text.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) break;
    std::int64_t at = 0;
    UChar32 point = 0;
    U8_NEXT(reinterpret_cast<const std::uint8_t*>(bytes.data()), at,
            static_cast<std::int64_t>(bytes.size()), point);
    append_utf8(text, 0xFFFD);
    ++replaced;
    bytes.remove_prefix(static_cast<std::size_t>(at));
  }
  return replaced;
}

std::size_t count_points(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text) count += is_continuation(byte) ? 0U : 1U;
  return count;
}

}  // namespace polyphony::text
