#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/text/model.h>

namespace polyphony::text {
namespace {

/// Whole words.
class WordLevel : public Model {
 public:
  explicit WordLevel(const JsonReader& json)
      : vocabulary_(read_vocabulary(json.at("vocab"))),
        unknown_token_(json.at("unk_token").string()),
        unknown_(vocabulary_.id_of(unknown_token_)) {}

  void tokenize(std::string_view piece, ModelScratch&, std::vector<Token>& tokens) const override {
    auto id = vocabulary_.id_of(piece);
    if (!id) id = unknown_;
    if (!id)
      throw DataError(fmt::format("tokenizer: the word `{}` is unknown, and so is the token for "
                                  "unknown words, `{}`",
                                  piece, unknown_token_),
                      "add it to the vocabulary");
    tokens.push_back({*id, 0, static_cast<std::uint32_t>(piece.size())});
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  std::string unknown_token_;
  std::optional<std::uint32_t> unknown_;
};

}  // namespace

std::unique_ptr<Model> make_word_level(const JsonReader& json) {
  return std::make_unique<WordLevel>(json);
}

}  // namespace polyphony::text
