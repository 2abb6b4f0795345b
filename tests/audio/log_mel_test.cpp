#include <polyphony/audio/log_mel.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>

namespace polyphony::audio {
namespace {

std::vector<float> tone(double hertz, std::size_t samples) {
  std::vector<float> wave(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    wave[i] = static_cast<float>(
        std::sin(2.0 * std::numbers::pi * hertz * static_cast<double>(i) / 16000.0));
  }
  return wave;
}

TEST(LogMel, CountsWholeWindows) {
  const LogMel front_end({});
  EXPECT_EQ(front_end(tone(440, 400)).frames, 1);
  EXPECT_EQ(front_end(tone(440, 559)).frames, 1);
  EXPECT_EQ(front_end(tone(440, 560)).frames, 2);
  EXPECT_EQ(front_end(tone(440, 16000)).frames, 98);
}

TEST(LogMel, PadsAShortRecordingToOneFrame) {
  const Frames frames = LogMel({})(tone(440, 10));
  EXPECT_EQ(frames.frames, 1);
  EXPECT_EQ(frames.mels, 80);
  EXPECT_EQ(frames.values.size(), 80U);
}

TEST(LogMel, PutsAToneInItsBandAndScalesWithItsPower) {
  LogMelOptions options;
  options.mels = 40;
  const LogMel front_end(options);
  std::vector<float> wave = tone(1000, 400);
  const Frames loud = front_end(wave);
  const auto peak = std::max_element(loud.values.begin(), loud.values.end());
  // 1000 Hz is mel 1000; bands have their centres every 2840 / 41 mels.
  const double band = 999.99 * 41.0 / (2595.0 * std::log10(1.0 + 8000.0 / 700.0)) - 1.0;
  EXPECT_NEAR(static_cast<double>(peak - loud.values.begin()), band, 1.0);
  for (float& sample : wave) sample *= 0.1F;
  const Frames soft = front_end(wave);
  EXPECT_NEAR(*peak - soft.values[static_cast<std::size_t>(peak - loud.values.begin())],
              std::log(100.0), 1e-3);
}

TEST(LogMel, FloorsSilence) {
  const Frames frames = LogMel({})(std::vector<float>(400));
  EXPECT_THAT(frames.values, testing::Each(testing::FloatNear(std::log(1e-10F), 1e-4F)));
}

TEST(LogMel, CutsOffWhatIsTooLong) {
  LogMelOptions options;
  options.max_seconds = 0.5;
  EXPECT_EQ(LogMel(options)(tone(440, 16000)).frames, 48);
}

TEST(LogMel, GivesTheSameFromSeveralThreads) {
  const LogMel front_end({});
  const std::vector<float> wave = tone(300, 32000);
  const Frames expected = front_end(wave);
  std::vector<Frames> results(4);
  std::vector<std::thread> threads;
  for (Frames& result : results) threads.emplace_back([&] { result = front_end(wave); });
  for (std::thread& thread : threads) thread.join();
  for (const Frames& result : results) EXPECT_EQ(result.values, expected.values);
}

TEST(LogMel, RejectsNoSamplesAndOptionsOutOfRange) {
  EXPECT_THROW(LogMel({})(std::span<const float>{}), DataError);
  LogMelOptions options;
  options.hop_ms = 0.0;
  try {
    const LogMel front_end(options);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("log_mel.hop_ms: must be above 0"));
  }
}

}  // namespace
}  // namespace polyphony::audio
