#include <polyphony/config/yaml/dump.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include <polyphony/base/base64.h>
#include <polyphony/base/utf8.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

using Text = std::u32string;
constexpr int kWidth = 80;
constexpr std::size_t kSimpleKeyLimit = 128;

bool one_of(char32_t c, std::u32string_view set) { return set.find(c) != set.npos; }
bool is_break(char32_t c) { return one_of(c, U"\n\x85\u2028\u2029"); }
bool is_blank_or_end(const Text& text, std::size_t at) {
  return at >= text.size() || text[at] == 0 || one_of(text[at], U" \t\r") || is_break(text[at]);
}
/// Printable beyond ASCII, with allow_unicode.
bool printable_unicode(char32_t c) {
  return ((c >= 0xA0 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD)) && c != 0xFEFF;
}

/// What PyYAML's emitter learns about a text before it chooses a style.
struct Analysis {
  bool empty = false;
  bool multiline = false;
  bool allow_plain = true;
  bool allow_single_quoted = true;
};

Analysis analyze(const Text& text) {
  if (text.empty()) return {true, false, true, true};
  bool indicators = text.starts_with(U"---") || text.starts_with(U"...");
  bool line_breaks = false, special = false, edge_blank = false;
  bool break_space = false, space_break = false, previous_space = false, previous_break = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const bool followed = is_blank_or_end(text, i + 1);
    const bool preceded = i == 0 || is_blank_or_end(text, i - 1);
    if (i == 0) {
      indicators |= one_of(c, U"#,[]{}&*!|>'\"%@`");
      indicators |= one_of(c, U"?:-") && followed;
    } else {
      indicators |= (c == ':' && followed) || (c == '#' && preceded);
    }
    line_breaks |= is_break(c);
    const bool ascii = c == '\n' || (c >= 0x20 && c <= 0x7E);
    special |= !ascii && !(c == 0x85 || printable_unicode(c) || (c >= 0x10000 && c < 0x10FFFF));
    const bool edge = i == 0 || i + 1 == text.size();
    edge_blank |= edge && (c == ' ' || is_break(c));
    break_space |= c == ' ' && previous_break;
    space_break |= is_break(c) && previous_space;
    previous_space = c == ' ';
    previous_break = is_break(c);
  }
  Analysis result;
  result.multiline = line_breaks;
  result.allow_plain =
      !(indicators || line_breaks || edge_blank || break_space || space_break || special);
  result.allow_single_quoted = !(break_space || space_break || special);
  return result;
}

/// PyYAML's block emitter, for OmegaConf's settings.
class Emitter {
 public:
  void root(const Node& node) {
    if (node.is_map() || node.is_list()) {
      write_node(node, false);
    } else {
      write_scalar(node, false);
      if (!quoted_) raw("\n...");
    }
    if (column_ > 0) line_break();
  }
  std::string take() { return std::move(out_); }

 private:
  void raw(std::string_view text) {
    out_ += text;
    column_ += static_cast<int>(text.size());
  }
  void raw(const Text& text, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) append_utf8(out_, text[i]);
    column_ += static_cast<int>(end - begin);
  }
  void line_break(char32_t c = '\n') {
    append_utf8(out_, c);
    whitespace_ = indention_ = true;
    column_ = 0;
  }
  void write_indent() {
    const int indent = std::max(indent_, 0);
    if (!indention_ || column_ > indent || (column_ == indent && !whitespace_)) line_break();
    if (column_ < indent) {
      whitespace_ = true;
      raw(std::string(static_cast<std::size_t>(indent - column_), ' '));
    }
  }
  void indicator(std::string_view text, bool need_space, bool space = false,
                 bool indention = false) {
    if (!whitespace_ && need_space) raw(" ");
    whitespace_ = space;
    indention_ = indention_ && indention;
    raw(text);
  }

  void write_node(const Node& node, bool in_mapping) {
    if (node.is_list()) {
      write_list(node, in_mapping);
    } else if (node.is_map()) {
      write_map(node);
    } else {
      write_scalar(node, false);
    }
  }
  void write_list(const Node& node, bool in_mapping) {
    if (node.items().empty()) return indicator("[]", true);
    const int before = indent_;
    const bool indentless = in_mapping && !indention_;
    if (indent_ < 0) {
      indent_ = 0;
    } else if (!indentless) {
      indent_ += 2;
    }
    for (const Node& item : node.items()) {
      write_indent();
      indicator("-", true, false, true);
      write_node(item, false);
    }
    indent_ = before;
  }
  void write_map(const Node& node) {
    if (node.entries().empty()) return indicator("{}", true);
    const int before = indent_;
    indent_ = indent_ < 0 ? 0 : indent_ + 2;
    for (const auto& [key, value] : node.entries()) {
      write_indent();
      if (simple_key(key)) {
        write_scalar(key, true);
        indicator(":", false);
      } else {
        indicator("?", true, false, true);
        write_scalar(key, false);
        write_indent();
        indicator(":", true, false, true);
      }
      write_node(value, true);
    }
    indent_ = before;
  }

  static std::string plain_text(const Node& node) {
    switch (node.kind()) {
      case Node::Kind::kNull:
        return "null";
      case Node::Kind::kBool:
        return node.as_bool() ? "true" : "false";
      case Node::Kind::kInt:
        return python_repr(node);
      case Node::Kind::kFloat:
        break;
      default:
        return node.as_string();
    }
    const double value = node.as_float();
    if (std::isnan(value)) return ".nan";
    if (std::isinf(value)) return value < 0 ? "-.inf" : ".inf";
    std::string text = float_repr(value);
    const std::size_t e = text.find('e');
    if (e != std::string::npos && text.find('.') == std::string::npos) text.insert(e, ".0");
    return text;
  }
  static std::string_view short_tag(const Node& node) {
    static constexpr std::string_view kTags[] = {"!!null", "!!bool", "!!int", "!!float", "!!str"};
    return kTags[static_cast<int>(node.kind())];
  }
  static bool simple_key(const Node& key) {
    const Text text = decode_utf8(plain_text(key));
    const Analysis analysis = analyze(text);
    return short_tag(key).size() + text.size() < kSimpleKeyLimit && !analysis.empty &&
           !analysis.multiline;
  }
  /// Strings that OmegaConf quotes itself: what Python or YAML could read as a bool or number.
  static bool omegaconf_quotes(const std::string& text) {
    const std::string low = lower(text);
    for (const char* word : {"y", "yes", "n", "no", "true", "false", "on", "off"}) {
      if (low != word) continue;
      const bool capital = low.substr(1) == text.substr(1);
      const bool upper = text.find_first_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
      if (capital || upper) return true;
    }
    return python_int(text).has_value() || python_float(text).has_value();
  }
  /// "!!binary |" and base64 in lines of 76 characters.
  void write_bytes(const Node& node, bool is_key) {
    indicator("!!binary", true);
    const std::string text = encode_base64(node.as_string());
    if (text.empty() || is_key) return write_double_quoted(decode_utf8(text), false);
    indicator("|", true);
    const int indent = indent_ < 0 ? 2 : indent_ + 2;
    for (std::size_t at = 0; at < text.size(); at += 76) {
      line_break();
      raw(std::string(static_cast<std::size_t>(indent), ' ') + text.substr(at, 76));
    }
    line_break();
  }
  void write_scalar(const Node& node, bool is_key) {
    if (node.is_bytes()) return write_bytes(node, is_key);
    const std::string bytes = plain_text(node);
    const Text text = decode_utf8(bytes);
    const Analysis analysis = analyze(text);
    const bool ask_quotes = node.is_string() && omegaconf_quotes(bytes);
    const bool plain_ok = !node.is_string() || !pyyaml_reads_as_other(bytes);
    quoted_ = true;
    const int before = indent_;
    indent_ = indent_ < 0 ? 2 : indent_ + 2;  // lines that a scalar goes on with
    if (!ask_quotes && plain_ok && analysis.allow_plain && !(is_key && analysis.empty)) {
      quoted_ = false;
      write_plain(text, !is_key);
    } else if (analysis.allow_single_quoted && !(is_key && analysis.multiline)) {
      write_single_quoted(text, !is_key);
    } else {
      write_double_quoted(text, !is_key);
    }
    indent_ = before;
  }

  void write_plain(const Text& text, bool split) {
    if (text.empty()) return;
    if (!whitespace_) raw(" ");
    whitespace_ = indention_ = false;
    bool spaces = false;
    std::size_t start = 0;
    for (std::size_t end = 0; end <= text.size(); ++end) {
      const char32_t c = end < text.size() ? text[end] : 0;
      const bool at_end = end == text.size();
      if (spaces) {
        if (at_end || c != ' ') {
          if (start + 1 == end && column_ > kWidth && split) {
            write_indent();
            whitespace_ = indention_ = false;
          } else {
            raw(text, start, end);
          }
          start = end;
        }
      } else if (at_end || c == ' ') {
        raw(text, start, end);
        start = end;
      }
      spaces = !at_end && c == ' ';
    }
  }
  void write_single_quoted(const Text& text, bool split) {
    indicator("'", true);
    bool spaces = false, breaks = false;
    std::size_t start = 0;
    for (std::size_t end = 0; end <= text.size(); ++end) {
      const bool at_end = end == text.size();
      const char32_t c = at_end ? 0 : text[end];
      if (spaces) {
        if (at_end || c != ' ') {
          if (start + 1 == end && column_ > kWidth && split && start != 0 && !at_end) {
            write_indent();
          } else {
            raw(text, start, end);
          }
          start = end;
        }
      } else if (breaks) {
        if (at_end || !is_break(c)) {
          if (text[start] == '\n') line_break();
          for (std::size_t i = start; i < end; ++i) line_break(text[i]);
          write_indent();
          start = end;
        }
      } else if (at_end || c == ' ' || is_break(c) || c == '\'') {
        raw(text, start, end);
        start = end;
      }
      if (!at_end && c == '\'') {
        raw("''");
        start = end + 1;
      }
      spaces = !at_end && c == ' ';
      breaks = !at_end && is_break(c);
    }
    indicator("'", false);
  }
  static std::string escape(char32_t c) {
    static constexpr std::u32string_view kCodes = U"\a\b\t\n\v\f\r\x1B\"\\\x85\xA0\u2028\u2029";
    static constexpr std::string_view kLetters = "abtnvfre\"\\N_LP";
    if (c == 0) return "\\0";
    const std::size_t at = kCodes.find(c);
    if (at != kCodes.npos) return std::string("\\") + kLetters[at];
    const auto code = static_cast<std::uint32_t>(c);
    if (code <= 0xFF) return fmt::format("\\x{:02X}", code);
    return code <= 0xFFFF ? fmt::format("\\u{:04X}", code) : fmt::format("\\U{:08X}", code);
  }
  void write_double_quoted(const Text& text, bool split) {
    indicator("\"", true);
    std::size_t start = 0;
    for (std::size_t end = 0; end <= text.size(); ++end) {
      const bool at_end = end == text.size();
      const char32_t c = at_end ? 0 : text[end];
      const bool shown = !at_end && !one_of(c, U"\"\\\x85\u2028\u2029\uFEFF") &&
                         ((c >= 0x20 && c <= 0x7E) || printable_unicode(c));
      if (!shown) {
        if (start < end) raw(text, start, end);
        start = end;
        if (!at_end) {
          raw(escape(c));
          start = end + 1;
        }
      }
      const int pending = static_cast<int>(end) - static_cast<int>(start);
      if (end > 0 && end + 1 < text.size() && (c == ' ' || start >= end) &&
          column_ + pending > kWidth && split) {
        if (start < end) {
          raw(text, start, end);
          start = end;
        }
        raw("\\");
        write_indent();
        whitespace_ = indention_ = false;
        if (text[start] == ' ') raw("\\");
      }
    }
    indicator("\"", false);
  }

  std::string out_;
  int column_ = 0;
  int indent_ = -1;  // -1 outside of any collection
  bool whitespace_ = true;
  bool indention_ = true;
  bool quoted_ = false;
};

}  // namespace

std::string to_yaml(const Node& node) {
  Emitter emitter;
  emitter.root(node);
  return emitter.take();
}

}  // namespace polyphony::config
