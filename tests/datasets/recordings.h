#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <polyphony/base/files.h>

namespace polyphony::datasets {

/// A tone of so many samples, as 16-bit PCM at 16 kHz.
inline void write_tone(const std::filesystem::path& path, std::uint32_t samples) {
  std::string bytes;
  const auto put = [&](std::uint32_t value, int width) {
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  };
  bytes += "RIFF";
  put(36 + 2 * samples, 4);
  bytes += "WAVEfmt ";
  put(16, 4);
  put(1, 2);
  put(1, 2);
  put(16000, 4);
  put(32000, 4);
  put(2, 2);
  put(16, 2);
  bytes += "data";
  put(2 * samples, 4);
  for (std::uint32_t i = 0; i < samples; ++i) {
    const double x = 9000 * std::sin(0.1 * i) + 3000 * std::sin(0.003 * i * i);
    put(static_cast<std::uint32_t>(static_cast<std::int32_t>(x)), 2);
  }
  write_file(path, std::string_view(bytes));
}

}  // namespace polyphony::datasets
