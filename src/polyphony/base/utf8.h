#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace polyphony {

/// One code point of a valid UTF-8 text.
struct Point {
  char32_t value;
  std::uint32_t size;  ///< bytes
};

/// The code point that begins at a byte. @param at  start of a code point, below text.size();
/// the text must be valid UTF-8 (see make_valid)
inline Point point_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

/// Whether a byte continues a code point.
inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

inline std::uint32_t utf8_size(char32_t c) {
  if (c < 0x80) return 1;
  if (c < 0x800) return 2;
  return c < 0x10000 ? 3 : 4;
}

inline void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

/// What a text of any bytes begins with.
struct DecodedPoint {
  char32_t value = 0xFFFD;
  std::uint32_t size = 1;
  bool valid = false;
};
/// The code point; where it is no UTF-8, U+FFFD for the bytes that a valid one could have begun
/// with (the Unicode Standard, 3.9, "maximal subparts"). @param text  not empty
DecodedPoint decode_point(std::string_view text);
/// UTF-8 to code points; a bad byte becomes U+FFFD.
std::u32string decode_utf8(std::string_view text);

/// Whether every byte is below 0x80.
bool is_ascii(std::string_view text);

/// The number of leading bytes that are valid UTF-8.
std::size_t valid_prefix(std::string_view bytes);

/// Bytes as UTF-8, what is not valid replaced by U+FFFD: one for each maximal part of a code point
/// that breaks off (the Unicode Standard, 3.9, "U+FFFD substitution of maximal subparts").
/// @param text  receives the valid text
/// @return how many were replaced
std::size_t make_valid(std::string_view bytes, std::string& text);

/// The number of code points of a valid text.
std::size_t count_points(std::string_view text);

}  // namespace polyphony
