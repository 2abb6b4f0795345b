#include "whole_number.h"

#include <charconv>
#include <string>
#include <system_error>

#include <fmt/format.h>

namespace polyphony::app {

std::optional<std::int64_t> read_whole_number(std::string_view word) {
  std::int64_t number = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  const auto read = [least, most](std::string& word) -> std::string {
    const auto number = read_whole_number(word);
    if (number && *number >= least && *number <= most) {
      word = std::to_string(*number);
      return "";
    }
    return most == std::numeric_limits<std::int64_t>::max()
               ? fmt::format("'{}' is not a whole number from {} on", word, least)
               : fmt::format("'{}' is not a whole number from {} to {}", word, least, most);
  };
  return {read, "NUMBER", "whole number"};
}

}  // namespace polyphony::app
