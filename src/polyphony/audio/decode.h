#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace polyphony::audio {

/// One channel of sound.
struct Audio {
  std::vector<float> samples;  ///< nominally in [-1, 1]
  int rate = 0;                ///< samples a second
  double seconds() const {
    return rate > 0 ? static_cast<double>(samples.size()) / static_cast<double>(rate) : 0.0;
  }
};

/// Decodes a recording (WAV, FLAC, Ogg Vorbis, Opus, MP3: what libsndfile reads) at its own rate.
/// Several channels become their mean.
/// @throws DataError naming the file where it is missing, unreadable or holds no sample
Audio decode_mono(const std::filesystem::path& path);

/// decode_mono, then resampled: the values of `librosa.load(path, sr=rate)`.
/// @param rate  samples a second, positive
/// @throws DataError as decode_mono
Audio load_mono(const std::filesystem::path& path, int rate = 16000);

}  // namespace polyphony::audio
