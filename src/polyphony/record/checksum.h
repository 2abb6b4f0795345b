#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace polyphony::record {

/// CRC-32 as zlib, PNG and W&B's log use it. @param before  of the bytes that precede
std::uint32_t crc32(std::string_view bytes, std::uint32_t before = 0);
/// CRC-32C (Castagnoli).
std::uint32_t crc32c(std::string_view bytes);
/// CRC-32C as TFRecord files keep it: rotated and offset, so that a CRC of CRCs is none by chance.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace polyphony::record
