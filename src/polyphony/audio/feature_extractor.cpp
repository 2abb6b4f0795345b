#include <polyphony/audio/feature_extractor.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>

namespace polyphony::audio {
namespace {

using Json = nlohmann::json;

[[noreturn]] void unfit(const std::filesystem::path& path, const std::string& key,
                        const std::string& want, const Json& got) {
  throw DataError(
      fmt::format("{}: {}: {} where {} is wanted", path.string(), key, got.dump(), want),
      "this is not the preprocessor of a HuBERT or wav2vec 2.0 model; check the folder");
}

/// Reads keys of one JSON object and complains of the wrong ones.
struct Reader {
  const std::filesystem::path& path;
  const Json& json;

  void flag(const char* key, bool& value) const {
    if (!json.contains(key)) return;
    if (!json[key].is_boolean()) unfit(path, key, "true or false", json[key]);
    value = json[key].get<bool>();
  }
  template <typename Number>
  void number(const char* key, Number& value) const {
    if (!json.contains(key)) return;
    if (!json[key].is_number()) unfit(path, key, "a number", json[key]);
    value = json[key].get<Number>();
  }
};

/// Sums in four lanes of doubles: independent additions, so that they overlap.
struct Moments {
  double mean;
  double variance;
};

Moments moments(std::span<const float> samples) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> sums{};
  std::array<double, kLanes> squares{};
  const std::size_t whole = samples.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto x = static_cast<double>(samples[i + lane]);
      sums[lane] += x;
      squares[lane] += x * x;
    }
  }
  for (std::size_t i = whole; i < samples.size(); ++i) {
    const auto x = static_cast<double>(samples[i]);
    sums[0] += x;
    squares[0] += x * x;
  }
  double sum = 0;
  double square = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    sum += sums[lane];
    square += squares[lane];
  }
  const auto count = static_cast<double>(samples.size());
  const double mean = sum / count;
  return {mean, std::max(0.0, square / count - mean * mean)};
}

std::size_t target_length(std::size_t longest, const ExtractOptions& options) {
  switch (options.padding) {
    case PaddingStrategy::kLongest:
      return longest;
    case PaddingStrategy::kMaxLength:
      return static_cast<std::size_t>(*options.max_length);
    case PaddingStrategy::kDoNotPad:
      break;
  }
  return 0;
}

}  // namespace

FeatureExtractorConfig read_feature_extractor_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "preprocessor_config.json";
  const Json json = parse_json(read_file(path), /*allow_exceptions=*/false);
  if (!json.is_object()) {
    throw DataError(path.string() + ": no JSON object", "the file is damaged: fetch it again");
  }
  FeatureExtractorConfig config;
  const Reader read{path, json};
  read.flag("do_normalize", config.do_normalize);
  read.flag("return_attention_mask", config.return_attention_mask);
  read.number("padding_value", config.padding_value);
  read.number("sampling_rate", config.sampling_rate);
  if (config.sampling_rate <= 0) {
    unfit(path, "sampling_rate", "a positive number", json["sampling_rate"]);
  }
  int feature_size = 1;
  read.number("feature_size", feature_size);
  if (feature_size != 1) unfit(path, "feature_size", "1 (raw samples)", json["feature_size"]);
  const Json side = json.value("padding_side", Json("right"));
  if (side != "right" && side != "left") unfit(path, "padding_side", "right or left", side);
  if (side == "left") config.padding_side = PaddingSide::kLeft;
  return config;
}

void normalize(std::span<float> samples, std::size_t length, float padding_value) {
  const std::span<float> real = samples.first(std::min(length, samples.size()));
  if (!real.empty()) {
    constexpr double kEpsilon = 1e-7;
    const Moments of = moments(real);
    const auto mean = static_cast<float>(of.mean);
    const auto scale = static_cast<float>(1.0 / std::sqrt(of.variance + kEpsilon));
    for (float& x : real) x = (x - mean) * scale;
  }
  std::fill(samples.begin() + static_cast<std::ptrdiff_t>(real.size()), samples.end(),
            padding_value);
}

SpeechFeatures extract_features(std::span<const std::vector<float>> recordings,
                                const FeatureExtractorConfig& config,
                                const ExtractOptions& options) {
  const bool needs_length = options.truncation || options.padding == PaddingStrategy::kMaxLength;
  if (needs_length && options.max_length.value_or(0) <= 0) {
    throw ConfigError("audio: padding to max_length, and truncation, need a positive max_length",
                      "give max_length in samples: 80000 is 5 s at 16 kHz");
  }
  SpeechFeatures features;
  std::size_t longest = 0;
  for (const std::vector<float>& recording : recordings) {
    features.input_values.push_back(recording);
    std::vector<float>& kept = features.input_values.back();
    if (options.truncation && std::ssize(kept) > *options.max_length) {
      kept.resize(static_cast<std::size_t>(*options.max_length));
    }
    longest = std::max(longest, kept.size());
  }
  const std::size_t target = target_length(longest, options);
  for (std::vector<float>& values : features.input_values) {
    const std::size_t real = values.size();
    const std::size_t padding = target > real ? target - real : 0;
    const bool left = config.padding_side == PaddingSide::kLeft;
    values.insert(left ? values.begin() : values.end(), padding, config.padding_value);
    if (config.return_attention_mask) {
      std::vector<std::int32_t> mask(real, 1);
      mask.insert(left ? mask.begin() : mask.end(), padding, 0);
      features.attention_mask.push_back(std::move(mask));
    }
    if (config.do_normalize) {
      normalize(values, config.return_attention_mask ? real : values.size(), config.padding_value);
    }
  }
  return features;
}

std::vector<float> extract_one(std::vector<float> samples, const FeatureExtractorConfig& config,
                               std::int64_t max_length) {
  const auto most = static_cast<std::size_t>(max_length);
  if (samples.size() > most) samples.resize(most);
  if (!config.return_attention_mask) {
    const bool left = config.padding_side == PaddingSide::kLeft;
    samples.insert(left ? samples.begin() : samples.end(), most - samples.size(),
                   config.padding_value);
  }
  if (config.do_normalize) normalize(samples, samples.size(), config.padding_value);
  return samples;
}

}  // namespace polyphony::audio
