#include <polyphony/config/yaml/scalars.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/grammar_words.h>
#include <polyphony/config/yaml/yaml_tree.h>

namespace polyphony::config {
namespace {

bool digit_or_underscore(char c) { return is_digit(c) || c == '_'; }

/// A cursor over a scalar's text; each step consumes what it matches.
struct Scan {
  std::string_view rest;

  bool done() const { return rest.empty(); }
  bool peek(auto test) const { return !rest.empty() && test(rest.front()); }
  bool take(char c) {
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  bool sign() { return take('-') || take('+'); }
  std::size_t run(auto test) {
    std::size_t n = 0;
    while (n < rest.size() && test(rest[n])) ++n;
    rest.remove_prefix(n);
    return n;
  }
  /// Digits with underscores that start with a digit.
  bool number() { return peek(is_digit) && run(digit_or_underscore) > 0; }
  /// e, sign, digits; `needs_sign` is YAML 1.1's rule.
  bool exponent(bool needs_sign) {
    const std::string_view before = rest;
    if ((take('e') || take('E')) && (sign() || !needs_sign) && run(is_digit) > 0) return true;
    rest = before;
    return false;
  }
  /// One or more ":[0-5]?[0-9]".
  bool sexagesimal() {
    bool any = false;
    while (take(':')) {
      const char first = rest.empty() ? 'x' : rest.front();
      const std::size_t n = run(is_digit);
      if (n == 0 || n > 2 || (n == 2 && first > '5')) return false;
      any = true;
    }
    return any;
  }
};

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool special_float(std::string_view text) {
  if (is_one_of(text, {".nan", ".NaN", ".NAN"})) return true;
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return is_one_of(text, {".inf", ".Inf", ".INF"});
}

bool sexagesimal_float(std::string_view text) {
  Scan scan{text};
  scan.sign();
  return scan.number() && scan.sexagesimal() && scan.take('.') &&
         (scan.run(digit_or_underscore), scan.done());
}

/// Digits in groups with one underscore between them.
bool grouped_digits(Scan& scan) {
  if (scan.run(is_digit) == 0) return false;
  while (scan.rest.size() > 1 && scan.rest[0] == '_' && is_digit(scan.rest[1])) {
    scan.take('_');
    scan.run(is_digit);
  }
  return true;
}

/// OmegaConf's float rule: exponents need neither point nor sign; ".5e3" alone needs the sign.
bool omegaconf_float(std::string_view text) {
  if (special_float(text)) return true;
  Scan scan{text};
  if (scan.take('.')) {
    if (!grouped_digits(scan)) return false;
    scan.exponent(true);
    return scan.done();
  }
  scan.sign();
  if (!grouped_digits(scan)) return false;
  if (scan.peek([](char c) { return c == ':'; })) {
    return scan.sexagesimal() && scan.take('.') && (scan.run(digit_or_underscore), scan.done());
  }
  const bool point = scan.take('.');
  if (point) scan.run(digit_or_underscore);
  const bool exponent = scan.exponent(false);
  return (point || exponent) && scan.done();
}

/// YAML 1.1's float rule, as PyYAML's dumper applies it.
bool pyyaml_float(std::string_view text) {
  if (special_float(text) || sexagesimal_float(text)) return true;
  Scan scan{text};
  if (scan.take('.')) {
    if (!scan.number()) return false;
  } else {
    scan.sign();
    if (!scan.number() || !scan.take('.')) return false;
    scan.run(digit_or_underscore);
  }
  scan.exponent(true);
  return scan.done();
}

bool yaml_int(std::string_view text) {
  Scan scan{text};
  scan.sign();
  const std::string_view body = scan.rest;
  if (body.empty()) return false;
  const auto rest_is = [](std::string_view digits, std::string_view alphabet) {
    return !digits.empty() && digits.find_first_not_of(alphabet) == std::string_view::npos;
  };
  if (body == "0") return true;
  if (body.starts_with("0b")) return rest_is(body.substr(2), "01_");
  if (body.starts_with("0x")) return rest_is(body.substr(2), "0123456789abcdefABCDEF_");
  if (body.front() == '0') return rest_is(body.substr(1), "01234567_");
  if (!scan.number()) return false;
  return scan.done() || (scan.sexagesimal() && scan.done());
}

bool timestamp(std::string_view text) {
  Scan scan{text};
  if (scan.run(is_digit) != 4 || !scan.take('-')) return false;
  const std::size_t month = scan.run(is_digit);
  if (month < 1 || month > 2 || !scan.take('-')) return false;
  const std::size_t day = scan.run(is_digit);
  if (scan.done()) return month == 2 && day == 2;
  if (day < 1 || day > 2) return false;
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  if (!scan.take('T') && !scan.take('t') && scan.run(blank) == 0) return false;
  const std::size_t hour = scan.run(is_digit);
  if (hour < 1 || hour > 2 || !scan.take(':') || scan.run(is_digit) != 2 || !scan.take(':') ||
      scan.run(is_digit) != 2) {
    return false;
  }
  if (scan.take('.')) scan.run(is_digit);
  if (scan.done()) return true;
  scan.run(blank);
  if (scan.take('Z')) return scan.done();
  if (!scan.sign()) return false;
  const std::size_t zone = scan.run(is_digit);
  if (zone < 1 || zone > 2) return false;
  return scan.done() || (scan.take(':') && scan.run(is_digit) == 2 && scan.done());
}

std::string without_underscores(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

bool is_bool_word(const std::string& low, std::string_view text) {
  if (!is_one_of(low, {"yes", "no", "true", "false", "on", "off"})) return false;
  const bool rest_lower = low.substr(1) == text.substr(1);
  const bool all_upper = std::none_of(text.begin(), text.end(), [](char c) { return c >= 'a'; });
  return rest_lower || all_upper;
}

[[noreturn]] void bad_number(std::string_view text, const char* kind) {
  throw ComposeError("ValueError", fmt::format("'{}' has the form of {} but no digits", text, kind),
                     "quote it if a string is meant");
}

/// Splits "1:30:05" at its colons. @throws ComposeError where a part is no number
template <class Read>
void for_each_sixtieth(std::string_view digits, Read read) {
  for (std::size_t at = 0; at <= digits.size();) {
    const std::size_t colon = std::min(digits.find(':', at), digits.size());
    read(digits.substr(at, colon - at));
    at = colon + 1;
  }
}

std::string_view strip(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Digits with single underscores between them, moved past in `scan`.
bool python_digits(Scan& scan) {
  if (scan.run(is_digit) == 0) return false;
  while (scan.peek([](char c) { return c == '_'; })) {
    scan.take('_');
    if (scan.run(is_digit) == 0) return false;
  }
  return true;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Node make_integer(std::string_view digits, int base, bool negative) {
  std::int64_t small = 0;
  const std::string signed_digits = (negative ? "-" : "") + std::string(digits);
  const char* end = signed_digits.data() + signed_digits.size();
  const auto result = std::from_chars(signed_digits.data(), end, small, base);
  if (result.ec == std::errc{} && result.ptr == end) return Node(small);
  std::string decimal = "0";  // least significant digit first
  for (const char c : digits) {
    int carry = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
    for (char& d : decimal) {
      const int value = (d - '0') * base + carry;
      d = static_cast<char>('0' + value % 10);
      carry = value / 10;
    }
    for (; carry > 0; carry /= 10) decimal.push_back(static_cast<char>('0' + carry % 10));
  }
  while (decimal.size() > 1 && decimal.back() == '0') decimal.pop_back();
  if (negative) decimal.push_back('-');
  std::reverse(decimal.begin(), decimal.end());
  return Node::big_int(decimal);
}

Node yaml_integer(std::string_view text) {
  std::string digits = without_underscores(text);
  if (digits.empty()) {
    throw ComposeError("IndexError", "an empty text is no integer", "give it a value");
  }
  const bool negative = digits[0] == '-';
  if (negative || digits[0] == '+') digits.erase(0, 1);
  if (digits == "0") return Node(0);
  int base = 10;
  std::string_view body = digits;
  if (body.starts_with("0b") || body.starts_with("0x")) {
    base = body[1] == 'b' ? 2 : 16;
    body.remove_prefix(2);
  } else if (body.starts_with('0')) {
    base = 8;
    if (body.starts_with("0o") || body.starts_with("0O")) body.remove_prefix(2);
  }
  const auto good = [&](std::string_view part, std::string_view alphabet) {
    if (part.empty() || part.find_first_not_of(alphabet) != part.npos)
      bad_number(text, "an integer");
  };
  if (base == 10 && body.find(':') != body.npos) {
    std::int64_t total = 0;
    for_each_sixtieth(body, [&](std::string_view part) {
      good(part, "0123456789");
      std::int64_t value = 0;
      std::from_chars(part.data(), part.data() + part.size(), value);
      if (__builtin_mul_overflow(total, 60, &total) ||
          __builtin_add_overflow(total, value, &total)) {
        bad_number(text, "an integer");
      }
    });
    return Node(negative ? -total : total);
  }
  good(body, base == 16   ? "0123456789abcdefABCDEF"
             : base == 10 ? "0123456789"
             : base == 8  ? "01234567"
                          : "01");
  return make_integer(body, base, negative);
}

double yaml_real(std::string_view text) {
  std::string digits = lower(without_underscores(text));
  if (digits.empty()) {
    throw ComposeError("IndexError", "an empty text is no float", "give it a value");
  }
  const double sign = digits[0] == '-' ? -1 : 1;
  if (digits[0] == '-' || digits[0] == '+') digits.erase(0, 1);
  if (digits == ".inf") return sign * std::numeric_limits<double>::infinity();
  if (digits == ".nan") return std::numeric_limits<double>::quiet_NaN();
  double total = 0;
  for_each_sixtieth(digits, [&](std::string_view part) {
    const std::optional<double> value = python_float(part);
    if (!value) bad_number(text, "a float");
    total = total * 60 + *value;
  });
  return sign * total;
}

std::string_view plain_scalar_tag(std::string_view text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return "null";
  const std::string low = text.size() <= 5 ? lower(text) : "";
  if (is_bool_word(low, text)) return "bool";
  if (text == "=") return "value";
  if (text == "<<") return "merge";
  if (is_digit(text[0]) || text[0] == '-' || text[0] == '+' || text[0] == '.') {
    if (yaml_int(text)) return "int";
    if (pyyaml_float(text) || omegaconf_float(text)) return "float";
  }
  return "str";
}

Node type_plain_scalar(std::string_view text) {
  const std::string_view tag = plain_scalar_tag(text);
  if (tag == "null") return Node();
  if (tag == "int") return yaml_integer(text);
  if (tag == "float") return Node(yaml_real(text));
  if (tag == "bool") return Node(is_one_of(lower(text), {"yes", "true", "on"}));
  return Node(std::string(text));
}

bool pyyaml_reads_as_other(std::string_view text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL", "<<", "="})) return true;
  const std::string low = text.size() <= 5 ? lower(text) : "";
  return is_bool_word(low, text) || yaml_int(text) || pyyaml_float(text) || timestamp(text);
}

std::optional<Node> python_int(std::string_view text) {
  Scan scan{strip(text)};
  const bool negative = scan.rest.starts_with('-');
  scan.sign();
  const std::string digits = without_underscores(scan.rest);
  if (!python_digits(scan) || !scan.done()) return std::nullopt;
  return make_integer(digits, 10, negative);
}

std::optional<double> python_float(std::string_view text) {
  text = strip(text);
  std::string low = lower(without_underscores(text));
  Scan scan{text};
  scan.sign();
  const std::string word = lower(scan.rest);
  if (is_one_of(word, {"inf", "infinity", "nan"})) return std::strtod(low.c_str(), nullptr);
  const bool whole = scan.peek(is_digit);
  if (whole && !python_digits(scan)) return std::nullopt;
  if (scan.take('.')) {
    const bool fraction = scan.peek(is_digit);
    if (fraction ? !python_digits(scan) : !whole) return std::nullopt;
  } else if (!whole) {
    return std::nullopt;
  }
  if (scan.take('e') || scan.take('E')) {
    scan.sign();
    if (!python_digits(scan)) return std::nullopt;
  }
  if (!scan.done()) return std::nullopt;
  return std::strtod(low.c_str(), nullptr);
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string python_str(const Node& node) {
  return node.is_string() ? node.as_string() : python_repr(node);
}

std::string python_repr(const Node& node) {
  switch (node.kind()) {
    case Node::Kind::kNull:
      return "None";
    case Node::Kind::kBool:
      return node.as_bool() ? "True" : "False";
    case Node::Kind::kInt:
      return node.is_big_int() ? node.as_string() : std::to_string(node.as_int());
    case Node::Kind::kFloat:
      return float_repr(node.as_float());
    case Node::Kind::kString: {
      const std::string& text = node.as_string();
      const bool use_double =
          text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
      const char quote = use_double ? '"' : '\'';
      std::string out(1, quote);
      for (const char c : text) {
        if (c == quote || c == '\\') out += '\\';
        if (c == '\n')
          out += "\\n";
        else if (c == '\t')
          out += "\\t";
        else if (c == '\r')
          out += "\\r";
        else
          out += c;
      }
      return out + quote;
    }
    case Node::Kind::kList: {
      std::string out = "[";
      for (const Node& item : node.items()) out += (out.size() > 1 ? ", " : "") + python_repr(item);
      return out + "]";
    }
    case Node::Kind::kMap: {
      std::string out = "{";
      for (const auto& [key, value] : node.entries()) {
        out += (out.size() > 1 ? ", " : "") + python_repr(key) + ": " + python_repr(value);
      }
      return out + "}";
    }
  }
  return "";
}

}  // namespace polyphony::config
