#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <polyphony/text/byte_trie.h>
#include <polyphony/text/json_reader.h>
#include <polyphony/text/model.h>
#include <polyphony/text/normalizers.h>

namespace polyphony::text {

/// A token that is looked for in the text before the model sees it.
struct AddedToken {
  std::string content;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space on its left
  bool rstrip = false;       ///< takes the white space on its right
  bool normalized = true;    ///< looked for in the normalised text, itself normalised
  bool special = false;      ///< no part of the text: left out by decode
};

/// A part of a text: an added token, or what stands between.
struct Section {
  std::size_t begin, end;  ///< bytes
  std::int64_t token;      ///< its id, or kNoToken
};

/// The tokens beside the model's vocabulary.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// @param tokens  in the order of their ids: a token that the model does not know gets the next
  AddedTokens(const std::vector<AddedToken>& tokens, const Vocabulary& vocabulary,
              const Normalizer* normalizer);

  /// The sections of a text, in order, without gaps, none empty. Raw: tokens that are looked for in
  /// the text as given; normalized: the others, in the normalised text.
  void find_raw(std::string_view text, std::vector<Section>& sections) const {
    raw_.find(text, tokens_, sections);
  }
  void find_normalized(std::string_view text, std::vector<Section>& sections) const {
    normalized_.find(text, tokens_, sections);
  }

  std::optional<std::uint32_t> id_of(std::string_view content) const;
  /// Nothing where the id is no added token's.
  const AddedToken* token_of(std::uint32_t id) const;
  /// How a token is spelt for the decoder: as normalised.
  std::optional<std::string_view> spelling_of(std::uint32_t id) const;
  bool is_special(std::string_view content) const {
    return special_.contains(std::string(content));
  }
  const std::map<std::uint32_t, AddedToken>& all() const { return tokens_; }

 private:
  /// Finds the leftmost, then longest.
  class Finder {
   public:
    Finder() = default;
    explicit Finder(const std::vector<std::pair<std::string_view, std::uint32_t>>& keys);
    void find(std::string_view text, const std::map<std::uint32_t, AddedToken>& tokens,
              std::vector<Section>& sections) const;

   private:
    bool empty_ = true;
    std::array<bool, 256> first_{};  ///< bytes that begin a token
    ByteTrie trie_;
  };

  std::map<std::uint32_t, AddedToken> tokens_;  ///< by id
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::unordered_map<std::uint32_t, std::string> spellings_;  ///< where normalising changes them
  std::unordered_set<std::string> special_;
  Finder raw_, normalized_;
};

AddedToken read_added_token(const JsonReader& json);

}  // namespace polyphony::text
