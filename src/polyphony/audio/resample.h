#pragma once

#include <span>
#include <vector>

namespace polyphony::audio {

/// Changes the rate with soxr's HQ recipe, as librosa does ("soxr_hq").
/// @param from, to  samples a second, positive
/// @return ceil(samples * to / from) samples
/// @throws DataError for a rate that is not positive, or where soxr refuses
std::vector<float> resample(std::span<const float> samples, int from, int to);

}  // namespace polyphony::audio
