// The scanner's scalars: plain, quoted and block.
#include <fmt/format.h>

#include <polyphony/base/utf8.h>
#include <polyphony/config/yaml/yaml_scanner.h>

namespace polyphony::config {
namespace {

struct Escape {
  char letter;
  std::string_view text;
};
constexpr Escape kEscapes[] = {
    {'0', std::string_view("\0", 1)},
    {'a', "\a"},
    {'b', "\b"},
    {'t', "\t"},
    {'\t', "\t"},
    {'n', "\n"},
    {'v', "\v"},
    {'f', "\f"},
    {'r', "\r"},
    {'e', "\x1B"},
    {' ', " "},
    {'"', "\""},
    {'\\', "\\"},
    {'/', "/"},
    {'N', "\xC2\x85"},
    {'_', "\xC2\xA0"},
    {'L', "\xE2\x80\xA8"},
    {'P', "\xE2\x80\xA9"},
};

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

}  // namespace

YamlToken YamlScanner::scan_plain() {
  YamlToken token{Kind::kScalar, place()};
  token.plain = true;
  const int indent = indent_ + 1;
  std::string spaces;
  while (at() != '#') {
    std::size_t length = 0;
    while (!is_blank_or_end(length)) {
      const char c = at(length);
      const bool flow_sign =
          std::string_view(",[]{}").find(at(length + 1)) != std::string_view::npos;
      if (c == ':' && (is_blank_or_end(length + 1) || (flow_level_ > 0 && flow_sign))) break;
      if (flow_level_ > 0 && std::string_view(",?[]{}").find(c) != std::string_view::npos) break;
      ++length;
    }
    if (length == 0) break;
    allow_simple_key_ = false;
    token.text += spaces;
    token.text += text_.substr(pos_, length);
    skip(length);
    spaces.clear();
    if (!scan_plain_spaces(spaces) || spaces.empty() || (flow_level_ == 0 && column_ < indent)) {
      break;
    }
  }
  return token;
}

/// What stands between two words of a plain scalar; false where a document mark ends it.
bool YamlScanner::scan_plain_spaces(std::string& spaces) {
  while (at() == ' ') {
    spaces += ' ';
    skip(1);
  }
  if (break_size() == 0) return true;
  const std::string first = scan_line_break();
  spaces.clear();
  allow_simple_key_ = true;
  if (at_document_mark()) return false;
  std::string breaks;
  while (at() == ' ' || break_size() > 0) {
    if (at() == ' ') {
      skip(1);
      continue;
    }
    breaks += scan_line_break();
    if (at_document_mark()) return false;
  }
  if (first != "\n") {
    spaces = first;
  } else if (breaks.empty()) {
    spaces = " ";
  }
  spaces += breaks;
  return true;
}

YamlToken YamlScanner::scan_quoted(char quote) {
  YamlToken token{Kind::kScalar, place()};
  skip(1);
  scan_quoted_text(quote, token.text);
  while (ends() || at() != quote) {
    scan_quoted_spaces(token.text);
    scan_quoted_text(quote, token.text);
  }
  skip(1);
  return token;
}

void YamlScanner::scan_quoted_text(char quote, std::string& out) {
  while (!is_blank_or_end(0)) {
    const char c = at();
    if (c == quote && quote == '\'' && at(1) == '\'') {
      out += '\'';
      skip(2);
    } else if (c == quote) {
      return;
    } else if (c == '\\' && quote == '"') {
      scan_escape(out);
    } else {
      out += c;
      skip(1);
    }
  }
}

void YamlScanner::scan_escape(std::string& out) {
  skip(1);
  const char c = at();
  if (break_size() > 0) {
    scan_line_break();
    out += scan_quoted_breaks();
    return;
  }
  for (const Escape& escape : kEscapes) {
    if (ends() || escape.letter != c) continue;
    out += escape.text;
    skip(1);
    return;
  }
  const std::size_t length = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (length == 0) unexpected("an escape of this name is not known");
  skip(1);
  for (std::size_t i = 0; i < length; ++i) {
    if (!is_hex(at(i))) unexpected(fmt::format("expected {} hexadecimal digits", length));
  }
  const unsigned long code = std::stoul(std::string(text_.substr(pos_, length)), nullptr, 16);
  if (code > 0x10FFFF) fail("this is no character of Unicode");
  append_utf8(out, static_cast<char32_t>(code));
  skip(length);
}

void YamlScanner::scan_quoted_spaces(std::string& out) {
  std::string blanks;
  for (; at() == ' ' || at() == '\t'; skip(1)) blanks += at();
  if (ends()) fail("the quote is not closed");
  if (break_size() == 0) {
    out += blanks;
    return;
  }
  const std::string first = scan_line_break();
  const std::string breaks = scan_quoted_breaks();
  if (first != "\n") {
    out += first;
  } else if (breaks.empty()) {
    out += ' ';
  }
  out += breaks;
}

std::string YamlScanner::scan_quoted_breaks() {
  std::string out;
  while (true) {
    if (at_document_mark()) fail("a document mark inside a quoted text");
    while (at() == ' ' || at() == '\t') skip(1);
    if (break_size() == 0) return out;
    out += scan_line_break();
  }
}

YamlToken YamlScanner::scan_block(char style) {
  YamlToken token{Kind::kScalar, place()};
  skip(1);
  char chomping = ' ';
  int increment = 0;
  for (int i = 0; i < 2; ++i) {
    if (chomping == ' ' && (at() == '+' || at() == '-')) {
      chomping = at();
      skip(1);
    } else if (increment == 0 && at() >= '0' && at() <= '9') {
      increment = at() - '0';
      if (increment == 0) fail("an indentation is 1 to 9");
      skip(1);
    }
  }
  if (!is_space_or_end()) unexpected("a block text wants its indentation or '+' or '-'");
  scan_ignored_line("a block text");

  const int least = std::max(indent_ + 1, 1);
  int indent = least + increment - 1;
  std::string breaks;
  if (increment > 0) {
    breaks = scan_block_breaks(indent);
  } else {
    int deepest = 0;
    while (at() == ' ' || break_size() > 0) {
      if (at() != ' ') {
        breaks += scan_line_break();
        continue;
      }
      skip(1);
      deepest = std::max(deepest, column_);
    }
    indent = std::max(least, deepest);
  }
  std::string line_break;
  while (column_ == indent && !ends()) {
    token.text += breaks;
    const bool starts_with_text = at() != ' ' && at() != '\t';
    std::size_t length = 0;
    while (!is_break_or_end(length)) ++length;
    token.text += text_.substr(pos_, length);
    skip(length);
    line_break = scan_line_break();
    breaks = scan_block_breaks(indent);
    if (column_ != indent || ends()) break;
    if (style == '>' && line_break == "\n" && starts_with_text && at() != ' ' && at() != '\t') {
      if (breaks.empty()) token.text += ' ';
    } else {
      token.text += line_break;
    }
  }
  if (chomping != '-') token.text += line_break;
  if (chomping == '+') token.text += breaks;
  return token;
}

std::string YamlScanner::scan_block_breaks(int indent) {
  std::string out;
  while (true) {
    while (column_ < indent && at() == ' ') skip(1);
    if (break_size() == 0) return out;
    out += scan_line_break();
  }
}

}  // namespace polyphony::config
