#include <polyphony/base/utf8.h>

#include <cstring>

namespace polyphony {

DecodedPoint decode_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const std::uint32_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // What is longer than it needs to be, half of a pair, or beyond Unicode shows in the second byte.
  unsigned least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned greatest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t value = lead & (0x7FU >> size);
  for (std::uint32_t i = 1; i < size; ++i) {
    const unsigned byte = i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
    if (byte < least || byte > greatest) return {0xFFFD, i, false};
    value = value << 6 | (byte & 0x3F);
    least = 0x80;
    greatest = 0xBF;
  }
  return {value, size, true};
}

std::u32string decode_utf8(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const DecodedPoint point = decode_point(text);
    out.push_back(point.value);
    text.remove_prefix(point.valid ? point.size : 1);
  }
  return out;
}

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
  std::size_t at = 0;
  while (at < bytes.size()) {
    const DecodedPoint point = decode_point(bytes.substr(at));
    if (!point.valid) return at;
    at += point.size;
  }
  return at;
}

std::size_t make_valid(std::string_view bytes, std::string& text) {
  text.clear();
  std::size_t replaced = 0;
  while (!bytes.empty()) {
    const std::size_t valid = is_ascii(bytes) ? bytes.size() : valid_prefix(bytes);
    text.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) break;
    const DecodedPoint broken = decode_point(bytes);
    append_utf8(text, broken.value);
    ++replaced;
    bytes.remove_prefix(broken.size);
  }
  return replaced;
}

std::size_t count_points(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text) count += is_continuation(byte) ? 0U : 1U;
  return count;
}

}  // namespace polyphony
