#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/utf8.h>
#include <polyphony/text/byte_trie.h>
#include <polyphony/text/model.h>

namespace polyphony::text {
namespace {

/// The longest token that begins a word, then the longest that continues it, and so on. A word that
/// cannot be spelt so, or is too long, is one unknown token.
class WordPiece : public Model {
 public:
  explicit WordPiece(const JsonReader& json)
      : vocabulary_(read_vocabulary(json.at("vocab"))),
        unknown_token_(json.at("unk_token").string()),
        unknown_(vocabulary_.id_of(unknown_token_)),
        longest_(json.at("max_input_chars_per_word").natural()) {
    const std::string prefix = json.at("continuing_subword_prefix").string();
    std::vector<std::pair<std::string_view, std::uint32_t>> first, continuing;
    for (const auto& [token, id] : vocabulary_.tokens()) {
      first.emplace_back(token, id);
      if (token.starts_with(prefix))
        continuing.emplace_back(std::string_view(token).substr(prefix.size()), id);
    }
    first_ = ByteTrie(std::move(first));
    continuing_ = ByteTrie(std::move(continuing));
  }

  void tokenize(std::string_view piece, ModelScratch&, std::vector<Token>& tokens) const override {
    const std::size_t before = tokens.size();
    if (piece.size() > longest_ && count_points(piece) > longest_)
      return push_unknown(piece, tokens, before);
    for (std::uint32_t begin = 0; begin < piece.size();) {
      const Token token = longest_from(piece, begin);
      if (token.id == ByteTrie::kNone) return push_unknown(piece, tokens, before);
      tokens.push_back(token);
      begin = token.end;
    }
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Token longest_from(std::string_view piece, std::uint32_t begin) const {
    const ByteTrie& trie = begin == 0 ? first_ : continuing_;
    Token best{ByteTrie::kNone, begin, begin};
    std::uint32_t node = ByteTrie::kRoot;
    for (std::uint32_t at = begin; at < piece.size(); ++at) {
      node = trie.child(node, static_cast<unsigned char>(piece[at]));
      if (node == ByteTrie::kNone) break;
      if (trie.value(node) != ByteTrie::kNone) best = {trie.value(node), begin, at + 1};
    }
    return best;
  }

  void push_unknown(std::string_view piece, std::vector<Token>& tokens, std::size_t before) const {
    if (!unknown_)
      throw DataError(fmt::format("tokenizer: the word `{}` cannot be spelt, and the token for "
                                  "unknown words, `{}`, is not in the vocabulary",
                                  piece, unknown_token_),
                      "add it to the vocabulary");
    tokens.resize(before);
    tokens.push_back({*unknown_, 0, static_cast<std::uint32_t>(piece.size())});
  }

  Vocabulary vocabulary_;
  std::string unknown_token_;
  std::optional<std::uint32_t> unknown_;
  std::uint32_t longest_;  ///< code points of a word
  ByteTrie first_, continuing_;
};

}  // namespace

std::unique_ptr<Model> make_word_piece(const JsonReader& json) {
  return std::make_unique<WordPiece>(json);
}

}  // namespace polyphony::text
