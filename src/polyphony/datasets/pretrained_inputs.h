#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <ATen/core/Tensor.h>

#include <polyphony/audio/feature_extractor.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/text/normalize.h>
#include <polyphony/text/tokenizer.h>

namespace polyphony::datasets {

struct PretrainedInputsOptions {
  std::string audio_model;
  std::string text_model;
  int audio_max_length = 80000;
  int text_max_length = 249;
  text::Cleaning cleaning = text::Cleaning::kNone;

  void describe(config::Fields& f);
};

/// Recordings as a pretrained speech encoder reads them: 16 kHz, cut, normalised.
class SpeechInput {
 public:
  /// @param model  folder with preprocessor_config.json, or the hub's name of a model
  SpeechInput(const std::string& model, std::int64_t max_length);
  /// @return float [samples], at most max_length. @throws DataError naming the file
  at::Tensor read(const std::filesystem::path& recording) const;
  /// All that decides beside the recording what `read` gives.
  std::string describe() const;

 private:
  audio::FeatureExtractorConfig config_;
  std::int64_t max_length_;
};

/// Texts as a pretrained text encoder reads them.
class TextInput {
 public:
  /// @param model  folder with a tokenizer's files, or the hub's name of a model
  TextInput(const std::string& model, std::int64_t max_length, text::Cleaning cleaning);
  /// @return int64 [tokens], special tokens included, at most max_length
  at::Tensor read(const std::string& text) const;

 private:
  text::Tokenizer tokenizer_;
  text::EncodeOptions options_;
  text::Cleaning cleaning_;
};

}  // namespace polyphony::datasets
