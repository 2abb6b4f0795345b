#include <polyphony/config/yaml/grammar_words.h>

#include <string>

#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {

std::size_t digits_end(std::string_view text, std::size_t at) {
  if (at >= text.size() || !is_digit(text[at])) return at;
  while (at < text.size()) {
    if (is_digit(text[at])) {
      ++at;
    } else if (text[at] == '_' && at + 1 < text.size() && is_digit(text[at + 1])) {
      at += 2;
    } else {
      break;
    }
  }
  return at;
}

bool is_unsigned_int(std::string_view text) {
  return !text.empty() && digits_end(text, 0) == text.size() &&
         (text[0] != '0' || text.size() == 1);
}

namespace {

bool is_float_word(std::string_view text) {
  const std::string low = lower(text);
  if (low == "inf" || low == "nan") return true;
  std::size_t at = digits_end(text, 0);
  const std::string_view whole = text.substr(0, at);
  bool point = false;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = digits_end(text, at + 1);
    if (fraction == at + 1 && whole.empty()) return false;
    if (!whole.empty() && !is_unsigned_int(whole)) return false;
    at = fraction;
    point = true;
  } else if (!is_unsigned_int(whole)) {
    return false;
  }
  if (at == text.size()) return point;
  if (text[at] != 'e' && text[at] != 'E') return false;
  ++at;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  return at < text.size() && digits_end(text, at) == text.size();
}

}  // namespace

Node type_word(std::string_view word) {
  const std::string low = word.size() <= 5 ? lower(word) : "";
  if (low == "null") return Node();
  if (low == "true") return Node(true);
  if (low == "false") return Node(false);
  const bool is_signed = !word.empty() && (word[0] == '-' || word[0] == '+');
  const std::string_view body = word.substr(is_signed ? 1 : 0);
  if (is_unsigned_int(body)) return *python_int(word);
  if (is_float_word(body)) return Node(*python_float(word));
  return Node(std::string(word));
}

}  // namespace polyphony::config
