#include <polyphony/base/assignment.h>

#include <algorithm>

namespace polyphony {
namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-./+%@:").find(c) != std::string_view::npos;
}

}  // namespace

std::string assignment(std::string_view key, std::string_view value) {
  std::string text(key);
  text += '=';
  if (std::all_of(value.begin(), value.end(), is_plain)) return text.append(value);
  // Double quotes for the shell around single ones for the override.
  text = '"' + text + '\'';
  for (const char c : value) {
    if (c == '\'') {
      text += "\\\\'";
    } else if (c == '"' || c == '$' || c == '`' || c == '\\') {
      text += '\\';
      text += c;
    } else {
      text += c;
    }
  }
  return text + "'\"";
}

std::string shell_word(std::string_view word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(),
                                   [](char c) { return is_plain(c) || c == '=' || c == ','; })) {
    return std::string(word);
  }
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace polyphony
