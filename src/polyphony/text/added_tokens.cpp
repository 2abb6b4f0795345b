#include <polyphony/text/added_tokens.h>

#include <algorithm>

#include <polyphony/base/utf8.h>
#include <polyphony/text/aligned_text.h>
#include <polyphony/text/pieces.h>

namespace polyphony::text {
namespace {

PointClass class_before(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (is_continuation(text[begin])) --begin;
  return classes_of(point_at(text, begin).value);
}

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && (class_before(text, begin) & kWord) != 0) return true;
  return end < text.size() && (classes_of(point_at(text, end).value) & kWord) != 0;
}

std::size_t before_blanks(std::string_view text, std::size_t end) {
  while (end > 0 && (class_before(text, end) & kWhitespace) != 0) {
    do {
      --end;
    } while (is_continuation(text[end]));
  }
  return end;
}

std::size_t after_blanks(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const Point point = point_at(text, begin);
    if ((classes_of(point.value) & kWhitespace) == 0) break;
    begin += point.size;
  }
  return begin;
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, const Vocabulary& vocabulary,
                         const Normalizer* normalizer) {
  auto next = static_cast<std::uint32_t>(vocabulary.size());
  for (const AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    auto id = id_of(token.content);
    if (!id) id = vocabulary.id_of(token.content);
    if (!id) id = next++;
    if (token.normalized && normalizer != nullptr) {
      AlignedText text;
      text.assign(token.content, 0);
      normalizer->normalize(text);
      if (text.text() != token.content) spellings_[*id] = text.text();
    }
    ids_[token.content] = *id;
    if (token.special) special_.insert(token.content);
    tokens_[*id] = token;
  }
  std::vector<std::pair<std::string_view, std::uint32_t>> raw, normalized;
  for (const auto& [id, token] : tokens_) {
    if (!token.normalized) {
      raw.emplace_back(token.content, id);
    } else {
      normalized.emplace_back(*spelling_of(id), id);
    }
  }
  raw_ = Finder(raw);
  normalized_ = Finder(normalized);
}

std::optional<std::uint32_t> AddedTokens::id_of(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const AddedToken* AddedTokens::token_of(std::uint32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

std::optional<std::string_view> AddedTokens::spelling_of(std::uint32_t id) const {
  if (const auto found = spellings_.find(id); found != spellings_.end()) return found->second;
  const AddedToken* token = token_of(id);
  if (token == nullptr) return std::nullopt;
  return token->content;
}

AddedTokens::Finder::Finder(const std::vector<std::pair<std::string_view, std::uint32_t>>& keys)
    : empty_(keys.empty()), trie_(keys) {
  for (const auto& [key, id] : keys) {
    if (!key.empty()) first_[static_cast<unsigned char>(key[0])] = true;
  }
}

void AddedTokens::Finder::find(std::string_view text,
                               const std::map<std::uint32_t, AddedToken>& tokens,
                               std::vector<Section>& sections) const {
  sections.clear();
  std::size_t done = 0;
  for (std::size_t at = 0; !empty_ && at < text.size();) {
    if (!first_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    std::uint32_t node = ByteTrie::kRoot, id = ByteTrie::kNone;
    std::size_t end = at;
    for (std::size_t i = at; i < text.size(); ++i) {
      node = trie_.child(node, static_cast<unsigned char>(text[i]));
      if (node == ByteTrie::kNone) break;
      if (trie_.value(node) == ByteTrie::kNone) continue;
      id = trie_.value(node);
      end = i + 1;
    }
    if (id == ByteTrie::kNone) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens.at(id);
    std::size_t begin = at;
    at = end;
    if (token.single_word && touches_word(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(before_blanks(text, begin), done);
    if (token.rstrip) end = after_blanks(text, end);
    begin = std::min(begin, end);
    if (done < begin) sections.push_back({done, begin, kNoToken});
    sections.push_back({begin, end, static_cast<std::int64_t>(id)});
    done = end;
  }
  if (done < text.size()) sections.push_back({done, text.size(), kNoToken});
}

AddedToken read_added_token(const JsonReader& json) {
  AddedToken token;
  token.content = json.at("content").string();
  token.special = json.boolean_or("special", false);
  token.normalized = json.boolean_or("normalized", !token.special);
  token.single_word = json.boolean_or("single_word", false);
  token.lstrip = json.boolean_or("lstrip", false);
  token.rstrip = json.boolean_or("rstrip", false);
  return token;
}

}  // namespace polyphony::text
