#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace polyphony::config {

/// A key and its value as they stand in one line of YAML text.
struct LineEntry {
  std::size_t key = 0;  ///< where the key begins
  std::size_t key_end = 0;
  std::size_t value = 0;  ///< where the value begins; the line's end for none
  std::size_t value_end = 0;
  bool flow = false;      ///< inside { }
  bool in_list = false;   ///< first key of a "- " item
  bool one_line = false;  ///< the value ends on this line
};

/// Finds "KEY:" in a line, in block or flow style, quoted or not. False where it is not there.
bool find_entry(std::string_view line, std::string_view key, LineEntry& entry);

/// The text with the value put in place of the old one, in the old one's quotes.
std::string replace_value(const std::string& line, const LineEntry& entry,
                          const std::string& value);
std::string replace_key(const std::string& line, const LineEntry& entry, const std::string& key);

/// Texts by lines, without line breaks; to_text is its inverse.
std::vector<std::string> split_lines(const std::string& text);
std::string join_lines(const std::vector<std::string>& lines);

}  // namespace polyphony::config
