#include <polyphony/config/compose/override.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/config/compose/override_functions.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/grammar_words.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Recursive descent over one override.
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {
    mark_.source = std::make_shared<const std::string>("override " + text);
  }

  Override parse() {
    Override result;
    result.text = text_;
    if (take('~')) {
      result.type = OverrideType::kDelete;
    } else if (take('+')) {
      result.type = take('+') ? OverrideType::kForceAdd : OverrideType::kAdd;
    }
    parse_key(result);
    if (at_ == text_.size()) {
      if (result.type != OverrideType::kDelete) fail("missing '='");
      return result;
    }
    if (!take('=')) fail("not a character of a key");
    result.has_value = true;
    skip_blanks();
    result.value = marked(Node(""));
    if (at_ == text_.size()) return result;
    parse_value(result);
    result.holds_sweep = holds_sweep_;
    if (at_ != text_.size()) fail("not understood here");
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw ComposeError("OverrideParseException",
                       fmt::format("override '{}': column {}: {}", text_, at_ + 1, why),
                       fmt::format("{}\n{}^\nquote text with special characters: KEY='VALUE' "
                                   "(and quote the whole once more for the shell)",
                                   text_, std::string(at_, ' ')));
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (is_blank(peek())) ++at_;
  }
  Node marked(Node node) const {
    node.set_mark(mark_);
    return node;
  }

  std::string key_part(bool dollars) {
    const std::size_t begin = at_;
    if (is_digit(peek())) {
      at_ = digits_end(text_, at_);
      if (!is_unsigned_int(text_.substr(begin, at_ - begin))) fail("a key cannot be this number");
    } else if (is_letter(peek()) || (dollars && peek() == '$')) {
      while (is_name_char(peek()) || (dollars && peek() == '$')) ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  std::string package() {
    const std::size_t begin = at_;
    const std::string first = key_part(true);
    int parts = 1;
    while (!first.empty() && peek() == '.') {
      ++at_;
      if (key_part(true).empty()) fail("a key ends in '.'");
      ++parts;
    }
    if (parts == 1 && !first.empty() && is_digit(first[0])) fail("a key cannot be a number");
    return text_.substr(begin, at_ - begin);
  }
  void parse_key(Override& result) {
    result.key = package();
    while (!result.key.empty() && take('/')) {
      const std::string part = key_part(false);
      if (part.empty() || is_digit(part[0])) fail("a group name is missing after '/'");
      result.key += "/" + part;
    }
    if (take('@')) {
      if (peek() == ':') fail("renaming a package (@old:new) is no longer supported");
      result.package = package();
    }
  }

  /// Takes the sign where it stands next, after blanks or not; else nothing.
  bool take_after_blanks(char sign) {
    const std::size_t next = text_.find_first_not_of(" \t", at_);
    if (next == std::string::npos || text_[next] != sign) return false;
    at_ = next + 1;
    return true;
  }

  void parse_value(Override& result) {
    std::vector<OverrideElement> elements;
    do {
      skip_blanks();
      elements.push_back(element());
    } while (take_after_blanks(','));
    if (elements.size() == 1) {
      if (elements[0].sweep) result.sweep = std::move(elements[0].sweep);
      result.value = std::move(elements[0].value);
      return;
    }
    Sweep sweep;
    sweep.simple = true;
    for (OverrideElement& item : elements) {
      sweep.nested |= item.sweep.has_value();
      sweep.choices.push_back(std::move(item.value));
    }
    result.sweep = std::move(sweep);
    result.value = Node();
  }

  OverrideElement element() {
    const char c = peek();
    if (c == '\'' || c == '"') return {quoted(), {}};
    if (c == '[') return {list(), {}};
    if (c == '{') return {dict(), {}};
    if (is_letter(c)) {
      const std::size_t begin = at_;
      while (is_name_char(peek())) ++at_;
      const std::string name = text_.substr(begin, at_ - begin);
      std::size_t next = at_;
      while (next < text_.size() && is_blank(text_[next])) ++next;
      if (next < text_.size() && text_[next] == '(') {
        at_ = next + 1;
        return call(name);
      }
      at_ = begin;
    }
    return {word(true), {}};
  }
  Node plain(OverrideElement item) {
    holds_sweep_ |= item.sweep.has_value();
    return std::move(item.value);
  }

  Node list() {
    const Nesting nesting(*this);
    take('[');
    Node node = Node::list();
    skip_blanks();
    if (!take(']')) {
      do {
        skip_blanks();
        node.items().push_back(plain(element()));
      } while (take_after_blanks(','));
      if (!take_after_blanks(']')) fail("a list wants ',' or ']' here");
    }
    return marked(std::move(node));
  }
  Node dict() {
    const Nesting nesting(*this);
    take('{');
    Node node = Node::map();
    skip_blanks();
    if (!take('}')) {
      do {
        skip_blanks();
        Node key = word(false);
        if (!take_after_blanks(':')) fail("a mapping wants ':' here");
        skip_blanks();
        Node value = plain(element());
        const auto old =
            std::find_if(node.entries().begin(), node.entries().end(),
                         [&](const Node::Item& item) { return same_key(item.first, key); });
        if (old != node.entries().end()) {
          old->second = std::move(value);
        } else {
          node.entries().emplace_back(std::move(key), std::move(value));
        }
      } while (take_after_blanks(','));
      if (!take_after_blanks('}')) fail("a mapping wants ',' or '}' here");
    }
    return marked(std::move(node));
  }
  /// "name =" before an argument's value; "" where the argument is positional.
  std::string argument_name() {
    if (!is_letter(peek())) return "";
    std::size_t end = at_;
    while (end < text_.size() && is_name_char(text_[end])) ++end;
    const std::size_t begin = std::exchange(at_, end);
    if (take_after_blanks('=')) return text_.substr(begin, end - begin);
    at_ = begin;
    return "";
  }
  OverrideElement call(const std::string& name) {
    const Nesting nesting(*this);
    std::vector<OverrideArgument> arguments;
    skip_blanks();
    if (!take(')')) {
      do {
        skip_blanks();
        OverrideArgument argument;
        argument.name = argument_name();
        if (argument.name.empty() && !arguments.empty() && !arguments.back().name.empty()) {
          fail("a positional argument follows a named one");
        }
        skip_blanks();
        argument.element = element();
        arguments.push_back(std::move(argument));
      } while (take_after_blanks(','));
      if (!take_after_blanks(')')) fail("a function wants ',' or ')' here");
    }
    try {
      OverrideElement result = call_override_function(name, std::move(arguments));
      result.value.set_mark(mark_);
      return result;
    } catch (const FunctionError& error) {
      fail(error.what());
    }
  }

  Node quoted() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size()) {
      std::size_t slashes = 0;
      while (peek() == '\\') {
        ++at_;
        ++slashes;
      }
      const bool before_quote = peek() == quote && at_ < text_.size();
      out.append(before_quote ? slashes / 2 : slashes, '\\');
      if (at_ == text_.size()) break;
      const char c = text_[at_++];
      if (!before_quote || slashes % 2 == 1) {
        out += c;
        continue;
      }
      Node node(out);
      node.set_quote(quote);
      return marked(std::move(node));
    }
    fail("the quote is not closed");
  }

  /// Letters, digits, signs, escapes, inner blanks and ${...}. @param value  false for a mapping's
  /// key
  Node word(bool value) {
    std::string out;
    std::size_t keep = 0;  // characters of `out` up to the last that is no blank
    bool special = false;
    while (at_ < text_.size()) {
      const char c = peek();
      const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
      if (c == '\\' && next != '\0' && kEscapable.find(next) != kEscapable.npos) {
        out += next;
        at_ += 2;
        keep = out.size();
        special = true;
      } else if (value && c == '$' && next == '{') {
        const std::size_t end = text_.find('}', at_ + 2);
        if (end == std::string::npos || end == at_ + 2) fail("'${' is not closed, or empty");
        out += text_.substr(at_, end + 1 - at_);
        at_ = end + 1;
        keep = out.size();
      } else if (is_word_char(c) || (value && c == ':')) {
        out += c;
        ++at_;
        keep = out.size();
      } else if (is_blank(c)) {
        out += c;
        ++at_;
      } else {
        break;
      }
    }
    if (keep == 0) fail(at_ == text_.size() ? "a value is missing" : "not understood here");
    out.resize(keep);
    return marked(special ? Node(out) : type_word(out));
  }

  /// Counts how deep the text is nested: hostile input must not exhaust the stack.
  struct Nesting {
    explicit Nesting(Parser& inside) : parser(inside) {
      if (++parser.depth_ > kMaxNesting) parser.fail("nested too deeply");
    }
    ~Nesting() { --parser.depth_; }
    Parser& parser;
  };

  const std::string& text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool holds_sweep_ = false;
  Mark mark_;
};

std::string escape_word(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_not_of(kEscapable, at), text.size());
    const std::string_view run = std::string_view(text).substr(at, end - at);
    for (const char c : run) {
      out += '\\';
      out += c;
    }
    if (end < text.size()) out += text[end];
    at = end + 1;
  }
  return out;
}

std::string quote_text(const std::string& text, char quote) {
  std::string out(1, quote);
  std::size_t slashes = 0;
  for (const char c : text) {
    if (c == quote) out.append(slashes + 1, '\\');
    slashes = c == '\\' ? slashes + 1 : 0;
    out += c;
  }
  out.append(slashes, '\\');
  return out + quote;
}

}  // namespace

std::string Override::key_element() const {
  static constexpr const char* kPrefix[] = {"", "+", "++", "~"};
  return kPrefix[static_cast<int>(type)] + key + (package ? "@" + *package : "");
}

std::string Override::value_text() const {
  if (!has_value) return "null";
  if (sweep && sweep->kind == Sweep::Kind::kGlob) {
    return fmt::format("{{include:[{}],exclude:[{}]}}", fmt::join(sweep->include, ","),
                       fmt::join(sweep->exclude, ","));
  }
  return override_value_text(value);
}

std::string override_value_text(const Node& value) {
  switch (value.kind()) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kString:
      return value.quote() != 0 ? quote_text(value.as_string(), value.quote())
                                : escape_word(value.as_string());
    case Node::Kind::kList: {
      std::string out = "[";
      for (const Node& item : value.items()) {
        out += (out.size() > 1 ? "," : "") + override_value_text(item);
      }
      return out + "]";
    }
    case Node::Kind::kMap: {
      std::string out = "{";
      for (const auto& [key, item] : value.entries()) {
        out += (out.size() > 1 ? "," : "") + override_value_text(key) + ":" +
               override_value_text(item);
      }
      return out + "}";
    }
    default:
      return python_str(value);
  }
}

Override parse_override(const std::string& text) { return Parser(text).parse(); }

std::vector<Override> parse_overrides(const std::vector<std::string>& texts) {
  std::vector<Override> result;
  for (const std::string& text : texts) result.push_back(parse_override(text));
  return result;
}

}  // namespace polyphony::config
