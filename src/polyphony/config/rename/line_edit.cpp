#include <polyphony/config/rename/line_edit.h>

namespace polyphony::config {
namespace {

bool is_quote(char c) { return c == '\'' || c == '"'; }

/// One past the value that begins at `at`; `open` tells whether brackets or quotes stay open.
std::size_t end_of_value(std::string_view line, std::size_t at, bool flow, bool& open) {
  int depth = 0;
  char quote = 0;
  std::size_t end = at;  // one past the last character that is no blank
  for (std::size_t i = at; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == '\\' && quote == '"') ++i;
      if (c == quote) quote = 0;
      end = i + 1;
      continue;
    }
    if (c == '#' && (i == at || line[i - 1] == ' ' || line[i - 1] == '\t')) break;
    if (flow && depth == 0 && (c == ',' || c == '}' || c == ']')) break;
    if (is_quote(c) && (i == at || depth > 0)) quote = c;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c != ' ' && c != '\t') end = i + 1;
  }
  open = quote != 0 || depth > 0;
  return end;
}

}  // namespace

bool find_entry(std::string_view line, std::string_view key, LineEntry& entry) {
  for (std::size_t at = line.find(key); at != line.npos; at = line.find(key, at + 1)) {
    std::size_t begin = at, end = at + key.size();
    if (begin > 0 && is_quote(line[begin - 1]) && end < line.size() && line[end] == line[begin - 1])
      --begin, ++end;
    std::size_t colon = end;
    while (colon < line.size() && line[colon] == ' ') ++colon;
    if (colon == line.size() || line[colon] != ':') continue;
    if (colon + 1 < line.size() && line[colon + 1] != ' ' && line[colon + 1] != '\t') continue;
    const std::string_view before = line.substr(0, begin);
    const std::size_t last = before.find_last_not_of(" \t");
    const char previous = last == before.npos ? 0 : before[last];
    const bool dash = previous == '-' && before.find_first_not_of(" \t-") == before.npos;
    if (previous != 0 && previous != '{' && previous != ',' && !dash) continue;
    entry.key = begin;
    entry.key_end = end;
    entry.flow = previous == '{' || previous == ',';
    entry.in_list = dash;
    entry.value = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
    bool open = false;
    entry.value_end = end_of_value(line, entry.value, entry.flow, open);
    if (entry.value_end <= entry.value) entry.value = entry.value_end = colon + 1;
    const char first = entry.value < entry.value_end ? line[entry.value] : ' ';
    entry.one_line = !open && first != '|' && first != '>' && first != '&' && first != '!';
    return true;
  }
  return false;
}

std::string replace_value(const std::string& line, const LineEntry& entry,
                          const std::string& value) {
  std::string text = value;
  if (entry.value == entry.value_end) {
    text = " " + value;
  } else if (is_quote(line[entry.value]) && !is_quote(value.front())) {
    text = line[entry.value] + value + line[entry.value];
  }
  return line.substr(0, entry.value) + text + line.substr(entry.value_end);
}

std::string replace_key(const std::string& line, const LineEntry& entry, const std::string& key) {
  return line.substr(0, entry.key) + key + line.substr(entry.key_end);
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n', at)) {
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  lines.push_back(text.substr(at));
  return lines;
}

std::string join_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) text += (i == 0 ? "" : "\n") + lines[i];
  return text;
}

}  // namespace polyphony::config
