#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/text/json_reader.h>

namespace polyphony::text {

/// A part of a text that a pattern divides: it matched, or it stands between matches.
struct Part {
  std::size_t begin, end;  ///< bytes
  bool matches;
};

/// What to look for in a text.
class Pattern {
 public:
  virtual ~Pattern() = default;
  /// The parts of a valid UTF-8 text, in order, without gaps. Empty matches are parts too.
  virtual void divide(std::string_view text, std::vector<Part>& parts) const = 0;
};

std::unique_ptr<Pattern> literal_pattern(std::string literal);
/// A regular expression as Oniguruma's Ruby syntax has them: `^` and `$` are of lines.
/// @throws DataError naming `place` and what ICU cannot read
std::unique_ptr<Pattern> regex_pattern(const std::string& expression, const std::string& place);
/// `{"String": …}` or `{"Regex": …}`.
std::unique_ptr<Pattern> read_pattern(const JsonReader& json);

}  // namespace polyphony::text
