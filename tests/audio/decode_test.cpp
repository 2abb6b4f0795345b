#include <polyphony/audio/decode.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/audio/resample.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

#include "scratch.h"

namespace polyphony::audio {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path golden() {
  const char* folder = std::getenv("POLYPHONY_GOLDEN_DIR");
  return fs::path(folder != nullptr ? folder : POLYPHONY_TEST_DIR "/golden") / "data";
}

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
  const std::string file = read_file(golden() / "librosa_load.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const auto header = nlohmann::json::parse(file.substr(8, length));
  int cases = 0;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__" || name.ends_with(".native")) continue;
    const auto begin = entry["data_offsets"][0].get<std::size_t>();
    const auto end = entry["data_offsets"][1].get<std::size_t>();
    std::vector<float> expected((end - begin) / sizeof(float));
    std::memcpy(expected.data(), file.data() + 8 + length + begin, end - begin);
    const Audio audio = load_mono(golden() / (name + ".wav"), 16000);
    EXPECT_EQ(audio.rate, 16000);
    ASSERT_EQ(audio.samples.size(), expected.size()) << name;
    EXPECT_THAT(audio.samples, testing::Pointwise(testing::FloatNear(1e-4F), expected)) << name;
    ++cases;
  }
  std::cout << "librosa.load cases: " << cases << '\n';
  EXPECT_GT(cases, 0);
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
