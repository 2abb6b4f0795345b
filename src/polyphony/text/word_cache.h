#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <polyphony/text/model.h>

namespace polyphony::text {

/// The tokens of words met lately. A word has one place; a later one with the same place takes it.
/// Holds short words whose tokens follow each other without gaps; others are not kept.
class WordCache {
 public:
  WordCache() : entries_(kEntries) {}

  /// Appends the word's tokens, if they are known.
  bool find(std::string_view word, std::vector<Token>& tokens) {
    if (word.size() > kLongest) return false;
    place_ = &entries_[hash(word) & (kEntries - 1)];
    const Entry& entry = *place_;
    if (entry.size != word.size() || std::memcmp(entry.word.data(), word.data(), word.size()) != 0)
      return false;
    std::uint32_t begin = 0;
    for (std::size_t i = 0; i < entry.count; ++i) {
      tokens.push_back({entry.ids[i], begin, entry.ends[i]});
      begin = entry.ends[i];
    }
    return true;
  }

  /// Keeps what a model made of the word that find was asked for last: the tokens from `first` on.
  void keep(std::string_view word, const std::vector<Token>& tokens, std::size_t first) {
    const std::size_t count = tokens.size() - first;
    if (word.size() > kLongest || count > kMostTokens) return;
    std::uint32_t begin = 0;
    for (std::size_t i = first; i < tokens.size(); ++i) {
      if (tokens[i].begin != begin || tokens[i].end > 0xFF) return;
      begin = tokens[i].end;
    }
    Entry& entry = *place_;
    entry.size = static_cast<std::uint8_t>(word.size());
    entry.count = static_cast<std::uint8_t>(count);
    std::memcpy(entry.word.data(), word.data(), word.size());
    for (std::size_t i = 0; i < count; ++i) {
      entry.ids[i] = tokens[first + i].id;
      entry.ends[i] = static_cast<std::uint8_t>(tokens[first + i].end);
    }
  }

 private:
  static constexpr std::size_t kEntries = 1U << 14U;
  static constexpr std::size_t kLongest = 44;  // bytes
  static constexpr std::size_t kMostTokens = 14;
  struct Entry {
    std::array<std::uint32_t, kMostTokens> ids;
    std::uint8_t size = 0xFF;  // of no word
    std::uint8_t count = 0;
    std::array<std::uint8_t, kMostTokens> ends;
    std::array<char, kLongest> word;
  };

  static std::size_t hash(std::string_view word) {
    std::uint64_t value = word.size() * 0x9E3779B97F4A7C15ULL;
    const auto mix = [&](std::uint64_t part) {
      value = (value ^ part) * 0xFF51AFD7ED558CCDULL;
      value ^= value >> 32U;
    };
    std::size_t at = 0;
    for (; at + 8 <= word.size(); at += 8) {
      std::uint64_t part = 0;
      std::memcpy(&part, word.data() + at, 8);
      mix(part);
    }
    std::uint64_t part = 0;
    std::memcpy(&part, word.data() + at, word.size() - at);
    mix(part);
    return static_cast<std::size_t>(value ^ value >> 29U);
  }

  std::vector<Entry> entries_;
  Entry* place_ = nullptr;
};

}  // namespace polyphony::text
