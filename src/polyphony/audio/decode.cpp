#include <polyphony/audio/decode.h>

#include <memory>
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

constexpr sf_count_t kBlockFrames = 16384;

[[noreturn]] void unreadable(const std::filesystem::path& path, const char* reason) {
  throw DataError(fmt::format("{}: cannot decode: {}", path.string(), reason),
                  "WAV, FLAC, Ogg Vorbis, Opus and MP3 are read; convert it, or remove its row");
}

}  // namespace

Audio decode_mono(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw DataError(path.string() + ": no such recording",
                    "check the path; a relative one starts at the manifest's folder");
  }
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, Close> file(sf_open(path.c_str(), SFM_READ, &info));
  if (!file) unreadable(path, sf_strerror(nullptr));
  Audio audio;
  audio.rate = info.samplerate;
  const auto channels = static_cast<std::size_t>(info.channels);
  std::vector<float> block(static_cast<std::size_t>(kBlockFrames) * channels);
  sf_count_t read = 0;
  while ((read = sf_readf_float(file.get(), block.data(), kBlockFrames)) > 0) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(read); ++i) {
      float sum = 0.0F;
      for (std::size_t c = 0; c < channels; ++c) sum += block[i * channels + c];
      audio.samples.push_back(sum / static_cast<float>(channels));
    }
  }
  if (sf_error(file.get()) != SF_ERR_NO_ERROR) unreadable(path, sf_strerror(file.get()));
  if (audio.samples.empty()) {
    throw DataError(path.string() + ": the recording holds no sample",
                    "record it again, or remove its row");
  }
  return audio;
}

Audio load_mono(const std::filesystem::path& path, int rate) {
  Audio audio = decode_mono(path);
  if (audio.rate == rate) return audio;
  return {resample(audio.samples, audio.rate, rate), rate};
}

}  // namespace polyphony::audio
