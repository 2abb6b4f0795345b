#include <polyphony/text/vocabulary.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::text {

Vocabulary::Vocabulary(std::vector<std::pair<std::string, std::uint32_t>> tokens,
                       const std::string& place)
    : tokens_(std::move(tokens)) {
  constexpr std::uint32_t kGreatest = (1U << 24U) - 1;
  std::uint32_t greatest = 0;
  for (const auto& [token, id] : tokens_) {
    if (id > kGreatest)
      throw DataError(
          fmt::format("{}: token `{}` has id {}, above {}", place, token, id, kGreatest),
          "the file may be damaged: fetch or save it again");
    greatest = std::max(greatest, id);
  }
  ids_.reserve(tokens_.size());
  index_of_id_.resize(tokens_.empty() ? 0 : greatest + 1);
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    ids_[tokens_[i].first] = tokens_[i].second;
    index_of_id_[tokens_[i].second] = static_cast<std::uint32_t>(i + 1);
  }
}

std::optional<std::uint32_t> Vocabulary::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> Vocabulary::token_of(std::uint32_t id) const {
  if (id >= index_of_id_.size() || index_of_id_[id] == 0) return std::nullopt;
  return tokens_[index_of_id_[id] - 1].first;
}

}  // namespace polyphony::text
