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

}  // namespace polyphony
