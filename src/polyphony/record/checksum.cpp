#include <polyphony/record/checksum.h>

#include <array>

namespace polyphony::record {
namespace {

using Table = std::array<std::uint32_t, 256>;

/// @param polynomial  bits reversed
constexpr Table make_table(std::uint32_t polynomial) {
  Table table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1) != 0 ? (value >> 1) ^ polynomial : value >> 1;
    }
    table[i] = value;
  }
  return table;
}

constexpr Table kIeee = make_table(0xEDB88320);
constexpr Table kCastagnoli = make_table(0x82F63B78);

std::uint32_t crc(const Table& table, std::string_view bytes, std::uint32_t before) {
  std::uint32_t value = ~before;
  for (const char c : bytes) {
    value = table[(value ^ static_cast<unsigned char>(c)) & 0xff] ^ (value >> 8);
  }
  return ~value;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t before) {
  return crc(kIeee, bytes, before);
}

std::uint32_t crc32c(std::string_view bytes) { return crc(kCastagnoli, bytes, 0); }

std::uint32_t masked_crc32c(std::string_view bytes) {
  const std::uint32_t value = crc32c(bytes);
  return ((value >> 15) | (value << 17)) + 0xa282ead8U;
}

}  // namespace polyphony::record
