#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace polyphony::audio {

enum class PaddingSide { kRight, kLeft };

/// preprocessor_config.json of a speech model. Keys that are absent have Transformers' defaults.
struct FeatureExtractorConfig {
  bool do_normalize = true;            ///< to zero mean and unit variance
  bool return_attention_mask = false;  ///< models with layer norm in the front-end want it
  PaddingSide padding_side = PaddingSide::kRight;
  float padding_value = 0.0F;
  int sampling_rate = 16000;
};

/// Reads FOLDER/preprocessor_config.json.
/// @throws IoError where it cannot be read, DataError where it is no such file or asks for more
///         than one feature a sample
FeatureExtractorConfig read_feature_extractor_config(const std::filesystem::path& folder);

enum class PaddingStrategy { kDoNotPad, kLongest, kMaxLength };

struct ExtractOptions {
  PaddingStrategy padding = PaddingStrategy::kDoNotPad;
  std::optional<std::int64_t> max_length;  ///< samples
  bool truncation = false;                 ///< cut what is longer than max_length
};

/// What a speech model reads, row by row.
struct SpeechFeatures {
  std::vector<std::vector<float>> input_values;
  std::vector<std::vector<std::int32_t>> attention_mask;  ///< 1: real; empty where not asked for
};

/// The call of Transformers 4.27.1's Wav2Vec2FeatureExtractor: truncation, padding, then
/// normalisation over what the attention mask calls real. Without a mask the padding counts, as it
/// does there; with padding on the left the first samples count for the real ones, as they do
/// there.
/// @throws ConfigError where padding or truncation lacks its max_length
SpeechFeatures extract_features(std::span<const std::vector<float>> recordings,
                                const FeatureExtractorConfig& config,
                                const ExtractOptions& options);

/// One recording without padding, such that padding it with padding_value up to any length that a
/// model masks makes what extract_features makes of it. Where the model takes no mask, padding
/// influences what it computes, and the result is padded to max_length here.
/// @param max_length  samples kept
std::vector<float> extract_one(std::vector<float> samples, const FeatureExtractorConfig& config,
                               std::int64_t max_length);

/// (x - mean) / sqrt(variance + 1e-7) over the first `length` samples, in place; what is behind
/// becomes padding_value.
void normalize(std::span<float> samples, std::size_t length, float padding_value = 0.0F);

}  // namespace polyphony::audio
