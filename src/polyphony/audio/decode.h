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
/// @param max_seconds  what is behind is not decoded; 0: all
/// @throws DataError naming the file where it is missing, unreadable, broken off, holds no sample
/// or
///         one that is no number
Audio decode_mono(const std::filesystem::path& path, double max_seconds = 0);

/// decode_mono, then resampled: the values of `librosa.load(path, sr=rate)`.
/// @param rate         samples a second, positive
/// @param max_samples  at the new rate; what is behind is neither decoded nor resampled. 0: all
/// @throws DataError as decode_mono
Audio load_mono(const std::filesystem::path& path, int rate = 16000, std::int64_t max_samples = 0);

/// How long a recording says it is, without decoding it.
/// @throws DataError where it is missing or unreadable
double recorded_seconds(const std::filesystem::path& path);

}  // namespace polyphony::audio
