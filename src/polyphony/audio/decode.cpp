#include <polyphony/audio/decode.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <span>
#include <system_error>

#include <fmt/format.h>
#include <sndfile.h>

#include <polyphony/audio/resample.h>
#include <polyphony/base/error.h>

namespace polyphony::audio {
namespace {

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};

constexpr sf_count_t kBlockFrames = 4096;
/// Formats that cannot tell their length say SF_COUNT_MAX: 12 hours at 48 kHz are believed.
constexpr sf_count_t kMostFrames = sf_count_t{48000} * 3600 * 12;
/// What the resampling filter sees of the samples behind one: far more than its length at 8 kHz.
constexpr double kFilterSeconds = 0.1;

[[noreturn]] void unreadable(const std::filesystem::path& path, const char* reason) {
  throw DataError(fmt::format("{}: cannot decode: {}", path.string(), reason),
                  "WAV, FLAC, Ogg Vorbis, Opus and MP3 are read; convert it, or remove its row");
}

/// The mean of the channels of each frame, as float32 sums in channel order.
void mix(std::span<const float> frames, std::size_t channels, std::vector<float>& samples) {
  const std::size_t count = frames.size() / channels;
  const std::size_t begin = samples.size();
  samples.resize(begin + count);
  float* out = samples.data() + begin;
  const float* in = frames.data();
  if (channels == 2) {
    for (std::size_t i = 0; i < count; ++i) out[i] = (in[2 * i] + in[2 * i + 1]) * 0.5F;
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    float sum = 0.0F;
    for (std::size_t c = 0; c < channels; ++c) sum += in[i * channels + c];
    out[i] = sum / static_cast<float>(channels);
  }
}

/// Reads up to `most` frames; the file may be shorter.
std::vector<float> read_frames(SNDFILE* file, const SF_INFO& info, sf_count_t most) {
  std::vector<float> samples;
  const auto channels = static_cast<std::size_t>(info.channels);
  if (channels == 1 && most <= kMostFrames) {
    samples.resize(static_cast<std::size_t>(most));
    samples.resize(static_cast<std::size_t>(
        std::max<sf_count_t>(0, sf_readf_float(file, samples.data(), most))));
    return samples;
  }
  samples.reserve(static_cast<std::size_t>(std::min(most, kMostFrames)));
  std::vector<float> block(static_cast<std::size_t>(kBlockFrames) * channels);
  while (most > 0) {
    const sf_count_t read = sf_readf_float(file, block.data(), std::min(most, kBlockFrames));
    if (read <= 0) break;
    mix(std::span(block).first(static_cast<std::size_t>(read) * channels), channels, samples);
    most -= read;
  }
  return samples;
}

/// Is no sample NaN or infinite: an exponent of all ones?
bool finite(std::span<const float> samples) {
  constexpr std::uint32_t kExponent = 0x7f800000U;
  std::uint32_t bad = 0;
  for (const float x : samples) {
    bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(x) & kExponent) == kExponent);
  }
  return bad == 0;
}

using File = std::unique_ptr<SNDFILE, Close>;

File open_recording(const std::filesystem::path& path, SF_INFO& info) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw DataError(path.string() + ": no such recording",
                    "check the path; a relative one starts at the manifest's folder");
  }
  File file(sf_open(path.c_str(), SFM_READ, &info));
  if (!file) unreadable(path, sf_strerror(nullptr));
  return file;
}

}  // namespace

double recorded_seconds(const std::filesystem::path& path) {
  SF_INFO info{};
  const File file = open_recording(path, info);
  const sf_count_t frames = std::min(info.frames, kMostFrames);
  return info.samplerate > 0 ? static_cast<double>(frames) / info.samplerate : 0.0;
}

Audio decode_mono(const std::filesystem::path& path, double max_seconds) {
  SF_INFO info{};
  const File file = open_recording(path, info);
  sf_count_t most = info.frames;
  if (max_seconds > 0) {
    most = std::min(most, static_cast<sf_count_t>(std::ceil(max_seconds * info.samplerate)));
  }
  Audio audio;
  audio.rate = info.samplerate;
  audio.samples = read_frames(file.get(), info, most);
  if (sf_error(file.get()) != SF_ERR_NO_ERROR) unreadable(path, sf_strerror(file.get()));
  if (audio.samples.empty()) {
    throw DataError(path.string() + ": the recording holds no sample",
                    "record it again, or remove its row");
  }
  if (!finite(audio.samples)) {
    throw DataError(path.string() + ": the recording holds samples that are no numbers (NaN, inf)",
                    "write it again from its source, or remove its row");
  }
  return audio;
}

Audio load_mono(const std::filesystem::path& path, int rate, std::int64_t max_samples) {
  const bool all = max_samples <= 0 || rate <= 0;
  const double seconds = all ? 0 : static_cast<double>(max_samples) / rate;
  Audio audio = decode_mono(path, all ? 0 : seconds + kFilterSeconds);
  if (audio.rate != rate) audio = {resample(audio.samples, audio.rate, rate), rate};
  if (!all && std::ssize(audio.samples) > max_samples) {
    audio.samples.resize(static_cast<std::size_t>(max_samples));
  }
  return audio;
}

}  // namespace polyphony::audio
