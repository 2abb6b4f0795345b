#pragma once

#include <cstddef>
#include <string_view>

#include <polyphony/config/yaml/node.h>

// Words, as the grammars of OmegaConf's interpolations and of Hydra's overrides both read them.

namespace polyphony::config {

inline constexpr int kMaxNesting = 100;  ///< hostile input must not exhaust the stack
/// What a backslash before it makes plain.
inline constexpr std::string_view kEscapable = "\\()[]{}:=, \t";

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// What a name begins with.
inline bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
/// A character of a name: of a key, a function or a resolver.
inline bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '-'; }
/// A character of an unquoted value.
inline bool is_word_char(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view("-/\\+.$%*@?|").find(c) != std::string_view::npos;
}

/// Digits with single underscores between them, from `at`; returns where they end.
std::size_t digits_end(std::string_view text, std::size_t at);
/// '0', or digits that do not begin with zero.
bool is_unsigned_int(std::string_view text);

/// An unquoted word: int, float, bool, null, else string.
Node type_word(std::string_view word);

}  // namespace polyphony::config
