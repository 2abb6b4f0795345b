#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <polyphony/text/json_reader.h>
#include <polyphony/text/vocabulary.h>

namespace polyphony::text {

/// A token of a piece: bytes [begin, end) of it.
struct Token {
  std::uint32_t id;
  std::uint32_t begin, end;
};

/// Memory that a model works in, kept from piece to piece.
struct ModelScratch {
  struct Symbol {
    std::uint32_t id;
    std::int32_t previous, next;  ///< indices, or -1
    std::uint32_t size;           ///< bytes; 0: merged into another
  };
  struct Merge {
    std::uint32_t rank, position, id;
  };
  struct Step {
    double score;
    std::uint32_t id;
    std::uint32_t begin;  ///< where the best last token begins, or none
  };
  std::vector<Symbol> symbols;
  std::vector<Merge> merges;  ///< a heap
  std::vector<Step> steps;
  std::vector<std::string> spellings;
};

/// The part of a tokenizer that turns words into tokens of a vocabulary. Immutable: used by many
/// threads at once, each with its scratch.
class Model {
 public:
  virtual ~Model() = default;

  /// Appends the tokens of one word. @param piece  not empty
  /// @throws DataError where a word is unknown and the vocabulary has no token for that
  virtual void tokenize(std::string_view piece, ModelScratch& scratch,
                        std::vector<Token>& tokens) const = 0;
  /// Whether an unknown word's token is spelt as the word (Unigram) or as the unknown token.
  virtual bool spells_unknown(std::uint32_t) const { return false; }
  virtual const Vocabulary& vocabulary() const = 0;
};

/// What `tokenizer.json` calls a model: WordPiece, BPE, Unigram, WordLevel; without a `type`, by
/// its keys.
/// @throws DataError naming place and what is wrong
std::unique_ptr<Model> read_model(const JsonReader& json);

std::unique_ptr<Model> make_word_piece(const JsonReader& json);
std::unique_ptr<Model> make_bpe(const JsonReader& json);
std::unique_ptr<Model> make_unigram(const JsonReader& json);
std::unique_ptr<Model> make_word_level(const JsonReader& json);

/// `vocab`: tokens to ids.
Vocabulary read_vocabulary(const JsonReader& json);

}  // namespace polyphony::text
