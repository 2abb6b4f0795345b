#include <polyphony/audio/decode.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>

#include <polyphony/audio/resample.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

#include "audio/golden_tensors.h"
#include "scratch.h"

namespace polyphony::audio {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

/// A 16-bit mono WAV at 8 kHz.
std::string wav(std::uint32_t samples) {
  std::string bytes = "RIFF";
  const auto put = [&bytes](std::uint32_t value, int width) {
    for (int i = 0; i < width; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFFU);
  };
  put(36 + 2 * samples, 4);
  bytes += "WAVEfmt ";
  put(16, 4);
  put(1, 2);
  put(1, 2);
  put(8000, 4);
  put(16000, 4);
  put(2, 2);
  put(16, 2);
  bytes += "data";
  put(2 * samples, 4);
  bytes.append(2 * samples, '\0');
  return bytes;
}

TEST(LoadMono, AgreesWithLibrosa) {
  int cases = 0;
  for (const auto& [name, tensor] : golden_tensors("data/librosa_load.safetensors").tensors) {
    if (name.ends_with(".native")) continue;
    const auto expected = tensor.as<float>();
    const Audio audio = load_mono(golden_dir() / "data" / (name + ".wav"), 16000);
    EXPECT_EQ(audio.rate, 16000);
    ASSERT_EQ(audio.samples.size(), expected.size()) << name;
    EXPECT_THAT(audio.samples, testing::Pointwise(testing::FloatNear(1e-4F), expected)) << name;
    ++cases;
  }
  std::cout << "librosa.load cases: " << cases << '\n';
  EXPECT_GT(cases, 0);
}

/// Two seconds of a chord, both channels the same.
std::vector<float> chord(int rate, int channels) {
  std::vector<float> frames;
  for (int i = 0; i < 2 * rate; ++i) {
    const double t = static_cast<double>(i) / rate;
    const double x = 0.3 * std::sin(2 * M_PI * 330 * t) + 0.2 * std::sin(2 * M_PI * 554 * t);
    frames.insert(frames.end(), static_cast<std::size_t>(channels), static_cast<float>(x));
  }
  return frames;
}

fs::path write_sound(const std::string& name, int format, int rate, int channels,
                     const std::vector<float>& frames) {
  const fs::path path = polyphony::scratch_directory() / name;
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  EXPECT_NE(file, nullptr) << sf_strerror(nullptr);
  sf_write_float(file, frames.data(), static_cast<sf_count_t>(frames.size()));
  sf_close(file);
  return path;
}

TEST(LoadMono, ReadsEveryFormatAtItsRateAndChannels) {
  struct Case {
    const char* name;
    int format;
    int rate;
    int channels;
    float tolerance;
  };
  const std::vector<Case> cases = {
      {"a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 1e-4F},
      {"b.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 6, 1e-6F},
      {"c.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 44100, 2, 1e-3F},
      {"d.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 22050, 1, 1e-3F},
      {"e.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 96000, 2, 1e-3F},
      {"f.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 48000, 2, 0.05F},
      {"g.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 1, 0.05F},
      {"h.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 2, 0.05F}};
  const std::vector<float> expected = chord(16000, 1);
  for (const Case& one : cases) {
    const Audio audio = load_mono(
        write_sound(one.name, one.format, one.rate, one.channels, chord(one.rate, one.channels)));
    ASSERT_NEAR(static_cast<double>(audio.samples.size()), 32000.0, 700.0) << one.name;
    for (std::size_t i = 1000; i < 31000; ++i) {  // the ends ring
      ASSERT_NEAR(audio.samples[i], expected[i], one.tolerance) << one.name << " sample " << i;
    }
  }
}

TEST(LoadMono, CutsAsIfAllHadBeenDecoded) {
  for (const int rate : {8000, 16000, 22050, 44100, 48000}) {
    std::vector<float> frames(static_cast<std::size_t>(4 * rate));
    std::uint32_t state = 1;
    for (float& x : frames) {
      state = state * 1664525U + 1013904223U;
      x = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5F;
    }
    const fs::path path =
        write_sound("noise.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, 1, frames);
    std::vector<float> all = load_mono(path).samples;
    all.resize(20000);
    EXPECT_THAT(load_mono(path, 16000, 20000).samples,
                testing::Pointwise(testing::FloatNear(1e-6F), all))
        << rate;
    EXPECT_EQ(load_mono(path, 16000, 1 << 20).samples.size(), 64000U) << rate;
  }
}

TEST(LoadMono, RefusesSamplesThatAreNoNumbers) {
  std::vector<float> frames(100, 0.1F);
  for (const float bad : {std::nanf(""), INFINITY}) {
    frames[50] = bad;
    const fs::path path = write_sound("nan.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, frames);
    EXPECT_THAT(message_of([&] { load_mono(path); }),
                HasSubstr("nan.wav: the recording holds samples"));
  }
}

TEST(LoadMono, NamesARecordingThatBreaksOff) {
  const fs::path path =
      write_sound("broken.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, chord(16000, 1));
  const std::string bytes = read_file(path);
  write_file(path, std::string_view(bytes).substr(0, bytes.size() / 2));
  EXPECT_THAT(message_of([&] { load_mono(path); }), HasSubstr("broken.flac"));
}

TEST(LoadMono, NamesAMissingRecording) {
  EXPECT_THAT(message_of([] { load_mono("/nowhere/a.wav"); }),
              HasSubstr("/nowhere/a.wav: no such recording"));
}

TEST(LoadMono, NamesARecordingThatIsNoAudio) {
  const fs::path path = polyphony::scratch_directory() / "text.wav";
  write_file(path, std::string_view("this is not sound"));
  EXPECT_THAT(message_of([&] { load_mono(path); }), HasSubstr("text.wav: cannot decode"));
}

TEST(LoadMono, NamesADirectory) {
  EXPECT_THAT(message_of([] { load_mono(testing::TempDir()); }), HasSubstr("cannot decode"));
}

TEST(LoadMono, NamesARecordingWithoutSamples) {
  const fs::path path = polyphony::scratch_directory() / "silent.wav";
  write_file(path, std::string_view(wav(0)));
  EXPECT_THAT(message_of([&] { load_mono(path); }),
              HasSubstr("silent.wav: the recording holds no"));
}

TEST(DecodeMono, KeepsTheRateAndTellsTheLength) {
  const fs::path path = polyphony::scratch_directory() / "second.wav";
  write_file(path, std::string_view(wav(8000)));
  const Audio audio = decode_mono(path);
  EXPECT_EQ(audio.rate, 8000);
  EXPECT_DOUBLE_EQ(audio.seconds(), 1.0);
}

TEST(Resample, RoundsTheLengthUp) {
  EXPECT_EQ(resample(std::vector<float>(5512), 22050, 16000).size(), 4000U);
  EXPECT_EQ(resample(std::vector<float>(1), 48000, 16000).size(), 1U);
}

TEST(Resample, RejectsARateThatIsNotPositive) {
  EXPECT_THAT(message_of([] { resample(std::vector<float>(4), 16000, 0); }), HasSubstr("to 0 Hz"));
}

}  // namespace
}  // namespace polyphony::audio
