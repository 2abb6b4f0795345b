#include <polyphony/job/dotenv.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include <polyphony/base/files.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;

/// A statement that does not have the form of one.
struct Malformed {};

bool is_newline(char c) { return c == '\n' || c == '\r'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f' || c == '\v'; }

/// Walks a .env text statement by statement.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool has_next() const { return at_ < text_.size(); }

  DotenvBinding next() {
    DotenvBinding binding;
    binding.line = line_;
    try {
      skip_space_and_newlines();
      if (!has_next()) return binding;
      read_statement(binding);
    } catch (const Malformed&) {
      binding.key.clear();
      binding.value.reset();
      binding.error = true;
      skip_line();
    }
    return binding;
  }

 private:
  char peek() const { return has_next() ? text_[at_] : '\0'; }
  void take() {
    const char c = text_[at_++];
    if (c == '\n' || (c == '\r' && peek() != '\n')) ++line_;
  }
  void skip_blanks() {
    while (has_next() && is_blank(peek())) take();
  }
  void skip_space_and_newlines() {
    while (has_next() && (is_blank(peek()) || is_newline(peek()))) take();
  }
  void skip_line() {
    while (has_next() && !is_newline(peek())) take();
    take_newline();
  }
  void take_newline() {
    if (!has_next()) return;
    const bool two = text_.substr(at_, 2) == "\r\n";
    take();
    if (two) take();
  }

  void read_statement(DotenvBinding& binding) {
    skip_export();
    binding.key = read_key();
    skip_blanks();
    if (peek() == '=') {
      take();
      skip_blanks();
      binding.value = read_value();
    }
    skip_comment();
    skip_blanks();
    if (has_next() && !is_newline(peek())) throw Malformed{};
    take_newline();
  }

  void skip_export() {
    constexpr std::string_view kWord = "export";
    if (text_.substr(at_, kWord.size()) != kWord) return;
    if (at_ + kWord.size() >= text_.size() || !is_blank(text_[at_ + kWord.size()])) return;
    at_ += kWord.size();
    skip_blanks();
  }

  std::string read_key() {
    if (peek() == '#') return {};
    if (peek() == '\'') return read_quoted('\'', 1);
    const std::size_t begin = at_;
    while (has_next() && peek() != '=' && peek() != '#' && !is_blank(peek()) &&
           !is_newline(peek())) {
      take();
    }
    if (at_ == begin) throw Malformed{};
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string read_value() {
    const char first = peek();
    if (first == '\'') return unescape(read_quoted('\'', 0), "\\'");
    if (first == '"') return unescape(read_quoted('"', 0), "\\'\"abfnrtv");
    const std::size_t begin = at_;
    while (has_next() && !is_newline(peek())) take();
    std::string_view value = text_.substr(begin, at_ - begin);
    for (std::size_t i = 1; i < value.size(); ++i) {
      if (value[i] == '#' && is_blank(value[i - 1])) {
        value = value.substr(0, i);
        break;
      }
    }
    while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
    return std::string(value);
  }

  /// The text between quotes; in a value, a quote behind a backslash does not end it.
  std::string read_quoted(char quote, std::size_t least) {
    std::size_t end = at_ + 1;
    const bool escapes = least == 0;
    while (end < text_.size() && text_[end] != quote) {
      const bool escaped =
          escapes && text_[end] == '\\' && text_.substr(end + 1, 1) == std::string_view(&quote, 1);
      end += escaped ? 2 : 1;
    }
    if (end >= text_.size()) end = unescaped_end(quote);
    if (end - at_ - 1 < least) throw Malformed{};
    std::string inside(text_.substr(at_ + 1, end - at_ - 1));
    while (at_ <= end) take();
    return inside;
  }

  /// Where no quote stands alone, the last escaped one ends the text ('a\' is a backslash).
  std::size_t unescaped_end(char quote) const {
    const std::size_t last = text_.rfind(quote);
    if (last == std::string_view::npos || last <= at_) throw Malformed{};
    return last;
  }

  void skip_comment() {
    std::size_t at = at_;
    while (at < text_.size() && is_blank(text_[at])) ++at;
    if (at >= text_.size() || text_[at] != '#') return;
    while (has_next() && !is_newline(peek())) take();
  }

  static std::string unescape(const std::string& text, std::string_view known) {
    constexpr std::string_view kLetters = "abfnrtv";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v";
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size() || known.find(text[i + 1]) == known.npos) {
        out += text[i];
        continue;
      }
      const std::size_t letter = kLetters.find(text[++i]);
      out += letter == kLetters.npos ? text[i] : kMeanings[letter];
    }
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
};

/// Replaces ${NAME} and ${NAME:-default} by what `value_of` knows.
std::string expand(const std::string& text, const Environment& value_of) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = text.find("${", at);
    const std::size_t end = begin == text.npos ? text.npos : text.find('}', begin);
    if (end == text.npos) break;
    const std::string inside = text.substr(begin + 2, end - begin - 2);
    const std::size_t colon = inside.find(':');
    const bool has_default = colon != inside.npos && inside.substr(colon, 2) == ":-";
    if (colon != inside.npos && !has_default) {  // "${a:b}" is no variable
      out += text.substr(at, begin + 2 - at);
      at = begin + 2;
      continue;
    }
    out += text.substr(at, begin - at);
    out += value_of(inside.substr(0, colon))
               .value_or(has_default ? inside.substr(colon + 2) : std::string());
    at = end + 1;
  }
  return out + text.substr(at);
}

}  // namespace

std::vector<DotenvBinding> parse_dotenv(std::string_view text) {
  Reader reader(text);
  std::vector<DotenvBinding> bindings;
  while (reader.has_next()) bindings.push_back(reader.next());
  return bindings;
}

DotenvValues expand_dotenv(const std::vector<DotenvBinding>& bindings, const Environment& env,
                           DotenvPrecedence precedence) {
  DotenvValues values;
  const auto find = [&](const std::string& name) {
    return std::find_if(values.begin(), values.end(),
                        [&](const auto& item) { return item.first == name; });
  };
  // A name without a value in the file hides the environment's, and then counts as empty.
  const auto in_file = [&](const std::string& name) -> std::optional<std::string> {
    const auto item = find(name);
    if (item == values.end()) return std::nullopt;
    return item->second.value_or("");
  };
  const auto lookup = [&](const std::string& name) -> std::optional<std::string> {
    const bool file_first = precedence == DotenvPrecedence::kFile;
    auto first = file_first ? in_file(name) : env(name);
    if (first) return first;
    return file_first ? env(name) : in_file(name);
  };
  for (const DotenvBinding& binding : bindings) {
    if (binding.key.empty()) continue;
    std::optional<std::string> value;
    if (binding.value) value = expand(*binding.value, lookup);
    const auto old = find(binding.key);
    if (old != values.end()) {
      old->second = std::move(value);
    } else {
      values.emplace_back(binding.key, std::move(value));
    }
  }
  return values;
}

std::optional<fs::path> find_dotenv(const fs::path& directory) {
  for (fs::path folder = fs::absolute(directory).lexically_normal();;
       folder = folder.parent_path()) {
    std::error_code ignored;
    if (fs::is_regular_file(folder / ".env", ignored)) return folder / ".env";
    if (folder == folder.parent_path()) return std::nullopt;
  }
}

std::vector<std::string> load_dotenv(const fs::path& file, DotenvPrecedence precedence) {
  const auto process = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  const std::vector<DotenvBinding> bindings = parse_dotenv(read_file(file));
  for (const auto& [name, value] : expand_dotenv(bindings, process, precedence)) {
    if (value) setenv(name.c_str(), value->c_str(), precedence == DotenvPrecedence::kFile ? 1 : 0);
  }
  std::vector<std::string> warnings;
  for (const DotenvBinding& binding : bindings) {
    if (binding.error) {
      warnings.push_back(fmt::format(
          "{}:{}: no statement of a .env file (NAME=value, quotes closed); the line is skipped",
          file.string(), binding.line));
    }
  }
  return warnings;
}

std::vector<std::string> load_nearest_dotenv() {
  const char* named = std::getenv("POLYPHONY_DOTENV");
  const char* override_set = std::getenv("POLYPHONY_DOTENV_OVERRIDE");
  const bool file_wins = override_set != nullptr && std::string_view(override_set) == "1";
  std::optional<fs::path> file;
  if (named == nullptr) {
    file = find_dotenv(fs::current_path());
  } else if (*named != '\0') {
    file = named;
  }
  if (!file) return {};
  return load_dotenv(*file, file_wins ? DotenvPrecedence::kFile : DotenvPrecedence::kEnvironment);
}

}  // namespace polyphony::job
