#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <polyphony/base/json.h>

namespace polyphony::text {

/// The files of a tokenizer's folder that Transformers reads, as far as they are there.
struct PretrainedFiles {
  std::filesystem::path folder;
  std::map<std::string, std::string> bytes;  ///< by name
  nlohmann::json config;                     ///< tokenizer_config.json, or an empty mapping
  nlohmann::json special_tokens;             ///< special_tokens_map.json, or an empty mapping
  nlohmann::json added_tokens;               ///< added_tokens.json, or an empty mapping
  std::string tokenizer_class;               ///< without "Fast": "BertTokenizer"; "" where unknown

  /// @throws IoError where the folder or a file cannot be read; DataError for what is no JSON
  explicit PretrainedFiles(const std::filesystem::path& folder);
  /// Where a file stands, for messages.
  std::string place(const std::string& name) const;
};

/// A tokenizer.json made of `vocab.txt`, of `vocab.json` and `merges.txt`, or of
/// `sentencepiece.bpe.model`, as Transformers 4.27 converts them.
/// @throws DataError where there are none of them, or they are damaged
nlohmann::json convert_older_files(const PretrainedFiles& files);

/// The same for a SentencePiece model of XLM-R. @param place  for messages
nlohmann::json convert_sentencepiece(std::string_view model, const std::string& place);

/// A special token by its role ("pad_token"): its content, from special_tokens_map.json or
/// tokenizer_config.json, or `fallback`.
std::string special_token(const PretrainedFiles& files, const std::string& role,
                          const std::string& fallback);

/// The entry of `added_tokens` for a special token by its role; flags as the files give them.
nlohmann::json special_token_entry(const PretrainedFiles& files, const std::string& role,
                                   const std::string& fallback);

}  // namespace polyphony::text
