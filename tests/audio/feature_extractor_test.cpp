#include <polyphony/audio/feature_extractor.h>

#include <filesystem>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

#include "audio/golden_tensors.h"
#include "scratch.h"

namespace polyphony::audio {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;

std::filesystem::path folder_with(const std::string& json) {
  const auto folder = scratch_directory() / "preprocessor";
  write_file(folder / "preprocessor_config.json", std::string_view(json));
  return folder;
}

template <typename Call>
std::string complaint(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// Rows of a golden tensor.
template <typename T>
std::vector<std::vector<T>> rows_of(const GoldenTensor& tensor) {
  const auto values = tensor.as<T>();
  const auto width = static_cast<std::size_t>(tensor.shape.at(1));
  std::vector<std::vector<T>> rows;
  for (std::size_t at = 0; at < values.size(); at += width) {
    rows.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(at),
                      values.begin() + static_cast<std::ptrdiff_t>(at + width));
  }
  return rows;
}

TEST(FeatureExtractor, AgreesWithTransformers) {
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden_dir() / "hf")) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("feature_extractor") || !name.ends_with(".safetensors")) continue;
    const GoldenFile golden = golden_tensors("hf/" + name);
    FeatureExtractorConfig config;
    config.do_normalize = golden.metadata.at("do_normalize") == "True";
    config.return_attention_mask = golden.tensors.contains("attention_mask");
    ExtractOptions options;
    const std::string padding = golden.metadata.at("padding");
    options.padding = padding == "max_length" ? PaddingStrategy::kMaxLength
                      : padding == "longest"  ? PaddingStrategy::kLongest
                                              : PaddingStrategy::kDoNotPad;
    if (const std::string most = golden.metadata.at("max_length"); most != "None") {
      options.max_length = std::stoll(most);
    }
    options.truncation = golden.metadata.at("truncation") == "True";
    std::vector<std::vector<float>> raw;
    while (golden.tensors.contains("raw." + std::to_string(raw.size()))) {
      raw.push_back(golden.tensors.at("raw." + std::to_string(raw.size())).as<float>());
    }
    const SpeechFeatures features = extract_features(raw, config, options);
    const auto values = rows_of<float>(golden.tensors.at("input_values"));
    ASSERT_EQ(features.input_values.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_THAT(features.input_values[i], Pointwise(FloatNear(1e-5F), values[i])) << name << i;
    }
    if (config.return_attention_mask) {
      const auto masks = rows_of<std::int64_t>(golden.tensors.at("attention_mask"));
      for (std::size_t i = 0; i < masks.size(); ++i) {
        EXPECT_THAT(features.attention_mask[i], Pointwise(testing::Eq(), masks[i])) << name << i;
      }
    }
    ++cases;
  }
  std::cout << "feature extractor cases: " << cases << '\n';
  EXPECT_GT(cases, 0);
}

TEST(FeatureExtractor, OneRecordingAloneIsTheValidPartOfAPaddedOne) {
  std::vector<float> samples(1000);
  std::iota(samples.begin(), samples.end(), -300.0F);
  for (const bool mask : {true, false}) {
    FeatureExtractorConfig config;
    config.return_attention_mask = mask;
    for (const std::int64_t most : {700, 1500}) {
      ExtractOptions options{PaddingStrategy::kMaxLength, most, true};
      auto expected = extract_features({{samples}}, config, options).input_values[0];
      if (mask) expected.resize(static_cast<std::size_t>(std::min<std::int64_t>(most, 1000)));
      EXPECT_EQ(extract_one(samples, config, most), expected) << mask << most;
    }
  }
}

TEST(FeatureExtractor, WithoutAMaskThePaddingCounts) {
  FeatureExtractorConfig config;  // as that of HuBERT-base
  const ExtractOptions options{PaddingStrategy::kMaxLength, 4, false};
  const SpeechFeatures features = extract_features({{{1.0F, 3.0F}}}, config, options);
  // mean 1, variance 1.5
  EXPECT_THAT(features.input_values[0],
              ElementsAre(FloatNear(0, 1e-6F), FloatNear(1.632993F, 1e-5F),
                          FloatNear(-0.816497F, 1e-5F), FloatNear(-0.816497F, 1e-5F)));
  EXPECT_TRUE(features.attention_mask.empty());
}

TEST(FeatureExtractor, PadsOnTheSideAndWithTheValueThatTheModelWants) {
  FeatureExtractorConfig config;
  config.do_normalize = false;
  config.return_attention_mask = true;
  config.padding_side = PaddingSide::kLeft;
  config.padding_value = -1.0F;
  ExtractOptions options;
  options.padding = PaddingStrategy::kLongest;
  const SpeechFeatures features = extract_features({{{1, 2, 3}, {4}}}, config, options);
  EXPECT_THAT(features.input_values[1], ElementsAre(-1, -1, 4));
  EXPECT_THAT(features.attention_mask[1], ElementsAre(0, 0, 1));
}

TEST(FeatureExtractor, NeedsAMaxLengthToPadOrCutTo) {
  EXPECT_THAT(complaint([] {
                extract_features({}, {}, {PaddingStrategy::kMaxLength, std::nullopt, false});
              }),
              HasSubstr("need a positive max_length"));
}

TEST(FeatureExtractor, ReadsPreprocessorConfig) {
  const auto config = read_feature_extractor_config(folder_with(
      R"({"do_normalize": false, "feature_extractor_type": "Wav2Vec2FeatureExtractor",
          "feature_size": 1, "padding_side": "left", "padding_value": 0.5,
          "return_attention_mask": true, "sampling_rate": 8000})"));
  EXPECT_FALSE(config.do_normalize);
  EXPECT_TRUE(config.return_attention_mask);
  EXPECT_EQ(config.padding_side, PaddingSide::kLeft);
  EXPECT_EQ(config.padding_value, 0.5F);
  EXPECT_EQ(config.sampling_rate, 8000);
  const auto usual = read_feature_extractor_config(folder_with("{}"));
  EXPECT_TRUE(usual.do_normalize);
  EXPECT_FALSE(usual.return_attention_mask);
}

TEST(FeatureExtractor, NamesWhatIsWrongInPreprocessorConfig) {
  const auto of = [](const std::string& json) {
    return complaint([&] { read_feature_extractor_config(folder_with(json)); });
  };
  EXPECT_THAT(of("[1"), HasSubstr("preprocessor_config.json: no JSON object"));
  EXPECT_THAT(of(R"({"feature_size": 80})"), HasSubstr("feature_size: 80 where 1"));
  EXPECT_THAT(of(R"({"do_normalize": "yes"})"), HasSubstr("do_normalize: \"yes\" where true"));
  EXPECT_THAT(of(R"({"padding_side": "top"})"), HasSubstr("padding_side"));
  EXPECT_THAT(of(R"({"sampling_rate": 0})"), HasSubstr("sampling_rate: 0"));
}

}  // namespace
}  // namespace polyphony::audio
