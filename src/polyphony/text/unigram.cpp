#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>
#include <polyphony/base/utf8.h>
#include <polyphony/text/byte_trie.h>
#include <polyphony/text/model.h>

namespace polyphony::text {
namespace {

constexpr std::uint32_t kNowhere = 0xFFFFFFFFU;
constexpr double kUnknownPenalty = 10.0;

Vocabulary read_scored(const JsonReader& json, std::vector<double>& scores) {
  if (!json.is_array()) json.fail("not a list of tokens with scores");
  std::vector<std::pair<std::string, std::uint32_t>> tokens;
  tokens.reserve(json.size());
  for (const auto& entry : json.value()) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      json.fail(fmt::format("entry {} is not a token with a score", tokens.size()));
    tokens.emplace_back(entry[0].get<std::string>(), static_cast<std::uint32_t>(tokens.size()));
    scores.push_back(entry[1].get<double>());
  }
  return {std::move(tokens), json.place()};
}

/// The most probable way to spell a word, each token with its log probability (Kudo, 2018).
class Unigram : public Model {
 public:
  explicit Unigram(const JsonReader& json) : vocabulary_(read_scored(json.at("vocab"), scores_)) {
    byte_fallback_ = json.boolean_or("byte_fallback", false);
    if (const auto unknown = json.find("unk_id")) {
      unknown_ = unknown->natural();
      if (unknown_ >= scores_.size())
        unknown->fail(fmt::format("{} is outside the {} tokens", unknown_, scores_.size()));
    }
    std::vector<std::pair<std::string_view, std::uint32_t>> keys;
    for (const auto& [token, id] : vocabulary_.tokens()) keys.emplace_back(token, id);
    trie_ = ByteTrie(std::move(keys));
    double least = std::numeric_limits<double>::infinity();
    for (const double score : scores_) least = std::min(least, score);
    unknown_score_ = least - kUnknownPenalty;
  }

  void tokenize(std::string_view piece, ModelScratch& scratch,
                std::vector<Token>& tokens) const override {
    find_best(piece, scratch.steps);
    const std::size_t first = tokens.size();
    for (auto end = static_cast<std::uint32_t>(piece.size()); end > 0;) {
      const auto& step = scratch.steps[end];
      const bool joins = step.id == unknown_ && tokens.size() > first &&
                         tokens.back().id == unknown_ && tokens.back().begin == end;
      if (joins) {
        tokens.back().begin = step.begin;
      } else {
        tokens.push_back({step.id, step.begin, end});
      }
      end = step.begin;
    }
    std::reverse(tokens.begin() + static_cast<std::ptrdiff_t>(first), tokens.end());
    spell_unknown(piece, first, tokens);
  }
  bool spells_unknown(std::uint32_t id) const override { return id == unknown_; }
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  /// The best last token of every prefix that ends between code points.
  void find_best(std::string_view piece, std::vector<ModelScratch::Step>& steps) const {
    steps.assign(piece.size() + 1, {0.0, 0, kNowhere});
    for (std::uint32_t begin = 0; begin < piece.size();) {
      const double before = steps[begin].score;
      const std::uint32_t size = point_at(piece, begin).size;
      const auto offer = [&](std::uint32_t end, std::uint32_t id, double score) {
        auto& step = steps[end];
        if (step.begin == kNowhere || before + score > step.score)
          step = {before + score, id, begin};
      };
      bool single = false;
      std::uint32_t node = ByteTrie::kRoot;
      for (std::uint32_t at = begin; at < piece.size(); ++at) {
        node = trie_.child(node, static_cast<unsigned char>(piece[at]));
        if (node == ByteTrie::kNone) break;
        const std::uint32_t id = trie_.value(node);
        if (id == ByteTrie::kNone) continue;
        offer(at + 1, id, scores_[id]);
        single = single || at + 1 - begin == size;
      }
      if (!single) {
        if (unknown_ == kNowhere) fail_unknown(piece.substr(begin, size));
        offer(begin + size, unknown_, unknown_score_);
      }
      begin += size;
    }
  }

  /// A run of unknown characters is a token where the vocabulary has it, else bytes where it has
  /// those, else unknown.
  void spell_unknown(std::string_view piece, std::size_t first, std::vector<Token>& tokens) const {
    for (std::size_t i = first; i < tokens.size(); ++i) {
      if (tokens[i].id != unknown_) continue;
      const Token token = tokens[i];
      const std::string_view text = piece.substr(token.begin, token.end - token.begin);
      if (const std::uint32_t id = trie_.find(text); id != ByteTrie::kNone) {
        tokens[i].id = id;
        continue;
      }
      if (!byte_fallback_) continue;
      std::vector<Token> bytes;
      for (const char c : text) {
        const auto id = vocabulary_.id_of(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c)));
        if (!id) break;
        bytes.push_back({*id, token.begin, token.end});
      }
      if (bytes.size() != text.size()) continue;
      const auto at = tokens.begin() + static_cast<std::ptrdiff_t>(i);
      tokens.insert(tokens.erase(at), bytes.begin(), bytes.end());
      i += bytes.size() - 1;
    }
  }

  [[noreturn]] static void fail_unknown(std::string_view text) {
    throw DataError(
        fmt::format("tokenizer: `{}` is not in the vocabulary, which has no unknown token", text),
        "set unk_id in the tokenizer's model");
  }

  std::vector<double> scores_;
  Vocabulary vocabulary_;
  std::uint32_t unknown_ = kNowhere;
  double unknown_score_ = 0;
  bool byte_fallback_ = false;
  ByteTrie trie_;
};

}  // namespace

std::unique_ptr<Model> make_unigram(const JsonReader& json) {
  return std::make_unique<Unigram>(json);
}

}  // namespace polyphony::text
