#include <polyphony/record/formats/png.h>

#include <algorithm>
#include <stdexcept>

#include <polyphony/base/checksum.h>

namespace polyphony::record {
namespace {

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string chunk(const std::string& type, const std::string& content) {
  const std::string named = type + content;
  return big_endian(static_cast<std::uint32_t>(content.size())) + named + big_endian(crc32(named));
}

std::uint32_t adler32(std::string_view bytes) {
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const char c : bytes) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return (b << 16) | a;
}

/// A zlib stream of stored blocks.
std::string zlib_stored(std::string_view bytes) {
  std::string out("\x78\x01");
  constexpr std::size_t kLongest = 65535;
  for (std::size_t at = 0; at < bytes.size() || at == 0; at += kLongest) {
    const std::string_view block = bytes.substr(at, kLongest);
    const auto size = static_cast<std::uint16_t>(block.size());
    const auto inverse = static_cast<std::uint16_t>(~size);
    out += static_cast<char>(at + kLongest >= bytes.size() ? 1 : 0);
    for (const std::uint16_t word : {size, inverse}) {
      out += static_cast<char>(word & 0xff);
      out += static_cast<char>(word >> 8);
    }
    out += block;
  }
  return out + big_endian(adler32(bytes));
}

}  // namespace

std::string encode_png(const Image& image) {
  const auto width = static_cast<std::size_t>(image.width);
  const auto height = static_cast<std::size_t>(image.height);
  if (image.width < 1 || image.height < 1 || image.pixels.size() != 3 * width * height) {
    throw std::invalid_argument("an image's pixels do not fit its width and height");
  }
  std::string rows;
  for (std::size_t y = 0; y < height; ++y) {
    rows += '\0';  // no filter
    rows.append(reinterpret_cast<const char*>(image.pixels.data()) + 3 * width * y, 3 * width);
  }
  std::string header = big_endian(static_cast<std::uint32_t>(width)) +
                       big_endian(static_cast<std::uint32_t>(height));
  header += "\x08\x02";  // 8 bits, RGB
  header.append(3, '\0');
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", zlib_stored(rows)) +
         chunk("IEND", "");
}

}  // namespace polyphony::record
