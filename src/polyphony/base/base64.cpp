#include <polyphony/base/base64.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace polyphony {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of each character; -1 of those that are not of the alphabet.
constexpr std::array<int, 256> kValues = [] {
  std::array<int, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<int>(i);
  }
  return values;
}();

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    const std::size_t present = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < present ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text.push_back(k <= present ? kAlphabet[bits >> (18 - 6 * k) & 0x3F] : '=');
    }
  }
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0, padding = 0;
  for (const char c : text) {
    const int value = kValues[static_cast<unsigned char>(c)];
    if (c == '=' && count % 4 >= 2) ++padding;
    if (c == '=' && count % 4 + padding == 4) break;
    if (value < 0) continue;
    padding = 0;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (++count % 4 == 0) {
      for (const int shift : {16, 8, 0}) bytes += static_cast<char>(bits >> shift & 0xFF);
      bits = 0;
    }
  }
  const int rest = count % 4;
  if (rest > 0 && rest + padding != 4) return std::nullopt;
  if (rest == 3) bytes += {static_cast<char>(bits >> 10), static_cast<char>(bits >> 2)};
  if (rest == 2) bytes += static_cast<char>(bits >> 4);
  return bytes;
}

}  // namespace polyphony
