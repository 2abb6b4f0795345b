#pragma once

#include <array>
#include <memory>
#include <mutex>

#include <polyphony/text/decoders.h>
#include <polyphony/text/model.h>
#include <polyphony/text/normalizers.h>
#include <polyphony/text/pieces.h>
#include <polyphony/text/post_processor.h>
#include <polyphony/text/pre_tokenizers.h>
#include <polyphony/text/tokenizer.h>
#include <polyphony/text/word_cache.h>

namespace polyphony::text {

/// What one call works in. Kept for the next, so that a call needs little memory of its own.
struct Workspace {
  std::string valid;  ///< the text, where it was not UTF-8
  std::vector<Section> raw, normalized;
  AlignedText section;
  Pieces pieces;
  std::vector<Token> tokens;
  ModelScratch scratch;
  WordCache cache;
  std::vector<std::uint32_t> points;  ///< of each byte; see PointOffsets
  std::array<TokenRun, 2> runs;
};

/// A tokenizer's parts, built once.
struct TokenizerParts {
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<Model> model;
  AddedTokens added;
  PostProcessor post_processor;
  std::unique_ptr<Decoder> decoder;
  std::vector<Blanks> blanks;  ///< of each token of the model, by id, where offsets are trimmed
  EncodeOptions options, json_options;
  std::optional<std::size_t> max_length;
  std::map<std::string, std::string> special_tokens;
  std::map<std::string, std::string> files;  ///< names and bytes, for save_pretrained

  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Workspace>> idle;  ///< of calls that are over

  /// @param json  a tokenizer.json
  explicit TokenizerParts(const JsonReader& json);
};

}  // namespace polyphony::text
