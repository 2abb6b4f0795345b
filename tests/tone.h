#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>

#include <polyphony/base/files.h>

namespace polyphony {

/// Writes a tone as 16-bit PCM at 16 kHz, one channel.
inline void write_tone(const std::filesystem::path& path, double hertz, std::uint32_t samples) {
  constexpr std::uint32_t kRate = 16000;
  std::string bytes;
  const auto put = [&bytes](std::uint32_t value, int width) {
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  };
  bytes += "RIFF";
  put(36 + 2 * samples, 4);
  bytes += "WAVEfmt ";
  put(16, 4);         // size of this part
  put(1, 2);          // PCM
  put(1, 2);          // channels
  put(kRate, 4);      // frames a second
  put(2 * kRate, 4);  // bytes a second
  put(2, 2);          // bytes a frame
  put(16, 2);         // bits a sample
  bytes += "data";
  put(2 * samples, 4);
  for (std::uint32_t i = 0; i < samples; ++i) {
    const double phase = 2 * M_PI * hertz * i / kRate;
    put(static_cast<std::uint32_t>(static_cast<std::int32_t>(9000 * std::sin(phase))), 2);
  }
  write_file(path, bytes);
}

}  // namespace polyphony
