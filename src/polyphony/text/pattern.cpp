#include <polyphony/text/pattern.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <unicode/regex.h>
#include <unicode/utext.h>

#include <polyphony/base/error.h>
#include <polyphony/text/code_points.h>

namespace polyphony::text {
namespace {

void push(std::vector<Part>& parts, std::size_t& done, std::size_t begin, std::size_t end) {
  if (done != begin) parts.push_back({done, begin, false});
  parts.push_back({begin, end, true});
  done = end;
}

void finish(std::vector<Part>& parts, std::size_t done, std::size_t size) {
  if (done != size || size == 0) parts.push_back({done, size, false});
}

class Literal : public Pattern {
 public:
  explicit Literal(std::string literal) : literal_(std::move(literal)) {}

  void divide(std::string_view text, std::vector<Part>& parts) const override {
    parts.clear();
    std::size_t done = 0;
    for (std::size_t at = text.find(literal_); at != std::string_view::npos;
         at = text.find(literal_, at + literal_.size()))
      push(parts, done, at, at + literal_.size());
    finish(parts, done, text.size());
  }

 private:
  std::string literal_;
};

/// ` {2,}`, which every converted SentencePiece model has.
class Blanks : public Pattern {
 public:
  void divide(std::string_view text, std::vector<Part>& parts) const override {
    parts.clear();
    std::size_t done = 0;
    for (std::size_t at = text.find("  "); at != std::string_view::npos;
         at = text.find("  ", done)) {
      const std::size_t end = text.find_first_not_of(' ', at);
      push(parts, done, at, end == std::string_view::npos ? text.size() : end);
    }
    finish(parts, done, text.size());
  }
};

/// What Unicode 16 has beyond ICU's 15, as ranges within brackets.
constexpr auto kNewerPunctuation =
    R"(\u1b4e\u1b4f\u1b7f\U00010d6e\U000113d4\U000113d5\U000113d7\U000113d8\U00011be1)"
    R"(\U00016d6d-\U00016d6f\U0001e5ff)";
constexpr auto kNewerSymbols =
    R"(\u2427-\u2429\u2ffc-\u2fff\u31e4\u31e5\u31ef\U00010d8e\U00010d8f\U0001cc00-\U0001ccef)"
    R"(\U0001cd00-\U0001ceb3\U0001f8b2-\U0001f8bb\U0001f8c0\U0001f8c1\U0001fa89\U0001fa8f)"
    R"(\U0001fabe\U0001fac6\U0001fadc\U0001fadf\U0001fae9\U0001fbcb-\U0001fbef)";

/// Names that mean another set in ICU than in Oniguruma, written out: as ranges within brackets.
std::optional<std::string> set_of(std::string_view name) {
  if (name == "\\w")  // Latin-1's raised digits and fractions count, no others
    return "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u00b2\\u00b3\\u00b9\\u00bc-\\u00be" +
           newer_points(kWord);
  if (name == "\\d") return "\\p{Nd}" + newer_points(kNumber);
  if (name == "\\p{P}") return std::string("\\p{P}") + kNewerPunctuation;
  if (name == "[:punct:]") return std::string("\\p{P}\\p{S}") + kNewerPunctuation + kNewerSymbols;
  if (name == "\\h") return "0-9a-fA-F";
  if (name == "\\p{L}") return "\\p{L}" + newer_points(kLetter);
  if (name == "\\p{N}") return "\\p{N}" + newer_points(kNumber);
  return std::nullopt;
}

/// The name that begins at a backslash or with `[:`: `\w`, `\p{L}`, `[:punct:]`.
std::string_view name_at(std::string_view expression, std::size_t at) {
  const std::string_view rest = expression.substr(at);
  if (rest[0] == '[') return rest.substr(0, std::min(rest.size(), rest.find(":]") + 2));
  const bool property = rest.starts_with("\\p{") || rest.starts_with("\\P{");
  const std::size_t end = property ? rest.find('}') : 1;
  return end == std::string_view::npos ? rest : rest.substr(0, end + 1);
}

std::string for_icu(std::string_view expression) {
  std::string out;
  int depth = 0;  // of brackets
  for (std::size_t i = 0; i < expression.size();) {
    const bool posix = depth > 0 && expression.substr(i, 2) == "[:" &&
                       expression.find(":]", i) != std::string_view::npos;
    if (expression[i] != '\\' && !posix) {
      depth += expression[i] == '[' ? 1 : expression[i] == ']' && depth > 0 ? -1 : 0;
      out += expression[i++];
      continue;
    }
    const std::string_view name = name_at(expression, i);
    i += name.size();
    std::string positive(name);
    if (!posix && name.size() > 1)
      positive[1] = static_cast<char>(lower_of(static_cast<char32_t>(name[1])));
    const auto set = set_of(positive);
    if (!set) {
      out += name;
    } else if (positive != name) {
      out += fmt::format("[^{}]", *set);
    } else {
      out += depth > 0 ? *set : fmt::format("[{}]", *set);
    }
  }
  return out;
}

class Regex : public Pattern {
 public:
  Regex(const std::string& expression, const std::string& place) {
    UErrorCode status = U_ZERO_ERROR;
    UParseError where{};
    const icu::UnicodeString source = icu::UnicodeString::fromUTF8(for_icu(expression));
    pattern_.reset(
        icu::RegexPattern::compile(source, UREGEX_MULTILINE | UREGEX_UNIX_LINES, where, status));
    if (U_FAILURE(status))
      throw DataError(fmt::format("{}: regular expression `{}`: {} at character {}", place,
                                  expression, u_errorName(status), where.offset),
                      "write it in the syntax that both Oniguruma and ICU read");
  }

  void divide(std::string_view text, std::vector<Part>& parts) const override {
    parts.clear();
    if (text.empty()) return finish(parts, 0, 0);
    UErrorCode status = U_ZERO_ERROR;
    UText input = UTEXT_INITIALIZER;
    utext_openUTF8(&input, text.data(), static_cast<std::int64_t>(text.size()), &status);
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(status));
    std::size_t done = 0;
    if (U_SUCCESS(status)) {
      constexpr std::int32_t kMostSteps = 2000;  // about milliseconds
      matcher->setTimeLimit(kMostSteps, status);
      matcher->reset(&input);
      bool matched_before = false;
      while (matcher->find(status) != 0 && U_SUCCESS(status)) {
        const auto begin = static_cast<std::size_t>(matcher->start64(status));
        const auto end = static_cast<std::size_t>(matcher->end64(status));
        if (begin == end && matched_before && begin == done) continue;
        push(parts, done, begin, end);
        matched_before = true;
      }
    }
    utext_close(&input);
    if (U_FAILURE(status))
      throw DataError(fmt::format("text: matching a regular expression: {}", u_errorName(status)),
                      "the text or the expression asks for too many steps back");
    finish(parts, done, text.size());
  }

 private:
  std::unique_ptr<icu::RegexPattern> pattern_;
};

}  // namespace

std::unique_ptr<Pattern> literal_pattern(std::string literal) {
  return std::make_unique<Literal>(std::move(literal));
}

std::unique_ptr<Pattern> regex_pattern(const std::string& expression, const std::string& place) {
  if (expression == " {2,}") return std::make_unique<Blanks>();
  return std::make_unique<Regex>(expression, place);
}

std::unique_ptr<Pattern> read_pattern(const JsonReader& json) {
  if (const auto literal = json.find("String")) {
    if (literal->string().empty()) literal->fail("empty", "say what to look for");
    return literal_pattern(literal->string());
  }
  const JsonReader expression = json.at("Regex");
  return regex_pattern(expression.string(), expression.place());
}

}  // namespace polyphony::text
