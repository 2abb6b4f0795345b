#include <polyphony/config/yaml/interpolation_grammar.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/grammar_words.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

using Kind = Expression::Kind;

/// What ends a key inside ${...}.
constexpr std::string_view kKeyEnds = "\\{}()[]:. \t'\"";

Expression literal(std::string text) {
  Expression out;
  out.literal = Node(std::move(text));
  return out;
}

/// Recursive descent; each function leaves `at_` behind what it read.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Expression config_value() {
    Expression out = text('\0');
    if (at_ != text_.size()) fail("not understood here");
    return out;
  }
  Expression single_element() {
    Expression out = element();
    if (at_ != text_.size()) fail("not understood here");
    return out;
  }

 private:
  /// Counts how deep the text is nested: hostile input must not exhaust the stack.
  struct Nesting {
    explicit Nesting(Parser& inside) : parser(inside) {
      if (++parser.depth_ > kMaxNesting) parser.fail("nested too deeply");
    }
    ~Nesting() { --parser.depth_; }
    Parser& parser;
  };

  [[noreturn]] void fail(const std::string& why) const {
    const std::string shown =
        text_.size() <= 200 ? std::string(text_) : std::string(text_.substr(0, 200)) + "…";
    throw ComposeError(
        "GrammarParseError", fmt::format("'{}': column {}: {}", shown, at_ + 1, why),
        "an interpolation is ${key.path} or ${resolver:argument,...}; \\${ writes it plainly");
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool at_end() const { return at_ >= text_.size(); }
  bool opens() const { return text_.substr(at_, 2) == "${"; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void blanks() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }
  /// The character after blanks, without moving.
  char after_blanks() const {
    const std::size_t next = text_.find_first_not_of(" \t", at_);
    return next == text_.npos ? '\0' : text_[next];
  }

  /// Plain text up to `quote`, or to the end where it is '\0'.
  Expression text(char quote) {
    Expression out;
    out.kind = Kind::kText;
    std::string plain;
    const auto flush = [&] {
      if (!plain.empty()) out.parts.push_back(literal(std::move(plain)));
      plain.clear();
    };
    while (!at_end() && (quote == '\0' || peek() != quote)) {
      if (opens()) {
        flush();
        out.parts.push_back(interpolation());
      } else if (peek() == '\\') {
        backslashes(quote, plain);
      } else {
        plain += text_[at_++];
      }
    }
    flush();
    return out;
  }

  /// A run of backslashes halves before ${ (an odd one makes it plain), and in a quoted text also
  /// before the quote; elsewhere it stays.
  void backslashes(char quote, std::string& plain) {
    const std::size_t begin = at_;
    while (peek() == '\\') ++at_;
    const std::size_t count = at_ - begin;
    const bool before_quote = quote != '\0' && !at_end() && peek() == quote;
    if (!opens() && !before_quote) {
      plain.append(count, '\\');
      return;
    }
    plain.append(count / 2, '\\');
    if (count % 2 == 0) return;
    if (opens()) {
      plain += "${";
      at_ += 2;
    } else {
      plain += quote;
      ++at_;
    }
  }

  Expression interpolation() {
    const Nesting nesting(*this);
    at_ += 2;
    blanks();
    Expression out;
    out.kind = Kind::kKey;
    bool can_call = true;
    for (; take('.'); can_call = false) out.parts.push_back(literal("."));
    can_call &= peek() != '[';
    key_piece(out, can_call);
    while (true) {
      if (can_call && after_blanks() == ':') return call(std::move(out));
      if (take('.')) {
        if (peek() == '[') fail("a key is missing");
        out.parts.push_back(literal("."));
        key_piece(out, can_call);
      } else if (peek() == '[') {
        can_call = false;
        key_piece(out, can_call);
      } else {
        break;
      }
    }
    blanks();
    if (!take('}')) fail(at_end() ? "'}' is missing" : "not understood inside ${...}");
    return out;
  }

  /// "name", "${...}" or "[name]".
  void key_piece(Expression& out, bool& can_call) {
    const bool bracket = take('[');
    if (bracket) out.parts.push_back(literal("["));
    if (opens()) {
      out.parts.push_back(interpolation());
    } else {
      const std::size_t end = std::min(text_.find_first_of(kKeyEnds, at_), text_.size());
      const std::string_view key = text_.substr(at_, end - at_);
      if (key.empty()) fail("a key is missing");
      can_call &= is_letter(key[0]) && std::all_of(key.begin(), key.end(), is_name_char);
      out.parts.push_back(literal(std::string(key)));
      at_ = end;
    }
    if (!bracket) return;
    if (!take(']')) fail("']' is missing");
    out.parts.push_back(literal("]"));
  }

  Expression call(Expression name) {
    blanks();
    take(':');
    blanks();
    name.kind = Kind::kCall;
    name.names = name.parts.size();
    if (peek() != '}') sequence(name.parts, '}');
    blanks();
    if (!take('}')) fail(at_end() ? "'}' is missing" : "not understood in an argument");
    return name;
  }

  /// Elements between commas up to `close`; an empty one is an empty text.
  void sequence(std::vector<Expression>& out, char close) {
    while (true) {
      blanks_before_structure();
      const char next = after_blanks();
      if (next == ',' || next == close) {
        blanks();
        out.push_back(literal(""));
      } else {
        out.push_back(element());
      }
      blanks();
      if (!take(',')) return;
      blanks();
    }
  }
  void blanks_before_structure() {
    const char next = after_blanks();
    if (next == ',' || next == '\0') blanks();
  }

  Expression element() {
    const Nesting nesting(*this);
    switch (peek()) {
      case '\'':
      case '"':
        return quoted();
      case '[':
        return list();
      case '{':
        return map();
      default:
        return primitive(true);
    }
  }
  Expression quoted() {
    const char quote = text_[at_++];
    Expression out = text(quote);
    if (!take(quote)) fail("the quote is not closed");
    out.kind = Kind::kQuoted;
    return out;
  }
  Expression list() {
    take('[');
    blanks();
    Expression out;
    out.kind = Kind::kList;
    if (take(']')) return out;
    sequence(out.parts, ']');
    if (!take(']')) fail("']' is missing");
    return out;
  }
  Expression map() {
    take('{');
    blanks();
    Expression out;
    out.kind = Kind::kMap;
    if (take('}')) return out;
    do {
      blanks();
      out.parts.push_back(primitive(false));
      blanks();
      if (!take(':')) fail("':' is missing");
      blanks();
      out.parts.push_back(element());
      blanks();
    } while (take(','));
    if (!take('}')) fail("'}' is missing");
    return out;
  }

  /// Words, numbers, blanks between them, escapes and, in values, ':' and ${...}.
  Expression primitive(bool value) {
    Expression out;
    out.kind = Kind::kText;
    std::string plain;
    bool escaped = false;
    const std::size_t begin = at_;
    while (!at_end()) {
      const char c = peek();
      const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
      if (value && opens()) {
        if (!plain.empty()) out.parts.push_back(literal(std::exchange(plain, "")));
        out.parts.push_back(interpolation());
      } else if (c == '\\' && next != '\0' && kEscapable.find(next) != kEscapable.npos) {
        plain += next;
        at_ += 2;
        escaped = true;
      } else if (c == ' ' || c == '\t') {
        const char stop = after_blanks();
        if (stop == ',' || stop == ']' || stop == '}' || (stop == ':' && !value)) break;
        plain += c;
        ++at_;
      } else if (c == ':' && value) {
        plain += c;
        ++at_;
        while (peek() == ' ' || peek() == '\t') plain += text_[at_++];
      } else if (is_word_char(c)) {
        plain += c;
        ++at_;
      } else {
        break;
      }
    }
    if (at_ == begin) fail(at_end() ? "a value is missing" : "not understood here");
    if (out.parts.empty()) {
      out.kind = Kind::kLiteral;
      out.literal = escaped ? Node(plain) : type_word(plain);
    } else if (!plain.empty()) {
      out.parts.push_back(literal(std::move(plain)));
    }
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Expression parse_interpolations(std::string_view text) { return Parser(text).config_value(); }
Expression parse_element(std::string_view text) { return Parser(text).single_element(); }

bool has_interpolation(const Node& node) {
  return node.is_string() && !node.is_bytes() && node.as_string().find("${") != std::string::npos;
}

void check_interpolations(const Node& node, const std::string& key) {
  if (has_interpolation(node)) {
    try {
      parse_interpolations(node.as_string());
    } catch (const ComposeError& error) {
      throw ComposeError(error.original_class(),
                         key.empty() ? error.fact() : key + ": " + error.fact(), error.remedy(),
                         key, node.mark());
    }
  }
  std::size_t index = 0;
  for (const Node& item : node.items()) {
    check_interpolations(item, fmt::format("{}[{}]", key, index++));
  }
  for (const auto& [name, item] : node.entries()) {
    if (item.is_scalar() && !has_interpolation(item)) continue;
    check_interpolations(item, key.empty() ? python_str(name) : key + "." + python_str(name));
  }
}

}  // namespace polyphony::config
