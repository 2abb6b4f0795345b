#include <polyphony/audio/resample.h>

#include <cstdint>

#include <fmt/format.h>
#include <soxr.h>

#include <polyphony/base/error.h>

namespace polyphony::audio {

std::vector<float> resample(std::span<const float> samples, int from, int to) {
  if (from <= 0 || to <= 0) {
    throw DataError(fmt::format("cannot resample from {} Hz to {} Hz", from, to),
                    "rates are positive; 16000 is usual for speech");
  }
  if (from == to || samples.empty()) return {samples.begin(), samples.end()};
  const auto source_rate = static_cast<std::uint64_t>(from);
  const auto target_rate = static_cast<std::uint64_t>(to);
  const std::uint64_t length = (samples.size() * target_rate + source_rate - 1) / source_rate;
  std::vector<float> output(length, 0.0F);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  std::size_t used = 0;
  std::size_t made = 0;
  const soxr_error_t error =
      soxr_oneshot(from, to, 1, samples.data(), samples.size(), &used, output.data(), output.size(),
                   &made, &io, &quality, nullptr);
  if (error != nullptr) {
    throw DataError(fmt::format("cannot resample from {} Hz to {} Hz: {}", from, to, error),
                    "choose another rate");
  }
  return output;
}

}  // namespace polyphony::audio
