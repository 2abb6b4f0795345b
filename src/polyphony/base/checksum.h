#pragma once

#include <cstdint>
#include <string_view>

namespace polyphony {

/// CRC-32 as zip, PNG and W&B's log use it. @param before  of the bytes that precede
std::uint32_t crc32(std::string_view bytes, std::uint32_t before = 0);
/// CRC-32C (Castagnoli), as TFRecord files use it.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace polyphony
