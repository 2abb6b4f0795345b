#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace polyphony::text {

/// Tokens and their ids, both ways. Ids may have gaps; where two tokens share one, the later wins.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// @throws DataError naming `place` for an id above 16,777,215
  Vocabulary(std::vector<std::pair<std::string, std::uint32_t>> tokens, const std::string& place);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  std::optional<std::uint32_t> id_of(std::string_view token) const;
  std::optional<std::string_view> token_of(std::uint32_t id) const;
  std::size_t size() const { return tokens_.size(); }
  const std::vector<std::pair<std::string, std::uint32_t>>& tokens() const { return tokens_; }

 private:
  std::vector<std::pair<std::string, std::uint32_t>> tokens_;
  std::unordered_map<std::string_view, std::uint32_t> ids_;
  std::vector<std::uint32_t> index_of_id_;  ///< plus 1; 0: none
};

}  // namespace polyphony::text
