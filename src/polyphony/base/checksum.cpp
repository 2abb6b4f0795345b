#include <polyphony/base/checksum.h>

#include <array>
#include <cstring>

namespace polyphony {
namespace {

/// Eight tables, one for each byte of a 64-bit word: checkpoints have hundreds of megabytes.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// @param polynomial  bits reversed
constexpr Tables make_tables(std::uint32_t polynomial) {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? polynomial : 0);
    tables[0][i] = value;
  }
  for (std::size_t t = 1; t < tables.size(); ++t) {
    for (std::size_t i = 0; i < 256; ++i) {
      tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
    }
  }
  return tables;
}

constexpr Tables kIeee = make_tables(0xEDB88320);
constexpr Tables kCastagnoli = make_tables(0x82F63B78);

std::uint32_t crc(const Tables& tables, std::string_view bytes, std::uint32_t before) {
  std::uint32_t value = ~before;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    word ^= value;
    value = 0;
    for (std::size_t i = 0; i < 8; ++i) value ^= tables[7 - i][word >> (8 * i) & 0xff];
  }
  for (const char c : bytes) {
    value = tables[0][(value ^ static_cast<unsigned char>(c)) & 0xff] ^ value >> 8;
  }
  return ~value;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t before) {
  return crc(kIeee, bytes, before);
}

std::uint32_t crc32c(std::string_view bytes) { return crc(kCastagnoli, bytes, 0); }

}  // namespace polyphony
