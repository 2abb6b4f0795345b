#include <polyphony/config/rename/migrate.h>

#include <algorithm>

#include <fmt/format.h>

namespace polyphony::config {
namespace {

constexpr std::size_t kContext = 3;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end == text.npos ? end : end - at));
    if (end == text.npos) {
      lines.back() += "\n\\ No newline at end of file";
      break;
    }
    at = end + 1;
  }
  return lines;
}

struct Line {
  char sign;  // ' ', '-' or '+'
  std::size_t old_at, new_at;
  std::string text;
};

/// The shortest script by the longest common subsequence. Configuration files are small.
std::vector<Line> script(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::vector<std::size_t>> common(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;) {
      common[i][j] =
          a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::vector<Line> lines;
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      lines.push_back({' ', i, j, a[i]});
      ++i, ++j;
    } else if (i < a.size() && (j == b.size() || common[i + 1][j] >= common[i][j + 1])) {
      lines.push_back({'-', i, j, a[i]});
      ++i;
    } else {
      lines.push_back({'+', i, j, b[j]});
      ++j;
    }
  }
  return lines;
}

std::string range(std::size_t start, std::size_t count) {
  const std::size_t first = count == 0 ? start : start + 1;
  return count == 1 ? fmt::format("{}", first) : fmt::format("{},{}", first, count);
}

std::string hunk(const std::vector<Line>& lines, std::size_t first, std::size_t last) {
  std::size_t olds = 0, news = 0;
  std::string body;
  for (std::size_t i = first; i < last; ++i) {
    olds += lines[i].sign != '+';
    news += lines[i].sign != '-';
    body += lines[i].sign + lines[i].text + "\n";
  }
  return fmt::format("@@ -{} +{} @@\n", range(lines[first].old_at, olds),
                     range(lines[first].new_at, news)) +
         body;
}

}  // namespace

std::string unified_diff(const std::string& path, const std::string& before,
                         const std::string& after) {
  if (before == after) return "";
  const std::vector<Line> lines = script(lines_of(before), lines_of(after));
  std::string out = fmt::format("--- a/{0}\n+++ b/{0}\n", path);
  for (std::size_t i = 0; i < lines.size();) {
    if (lines[i].sign == ' ') {
      ++i;
      continue;
    }
    const std::size_t first = i - std::min(i, kContext);
    std::size_t last = i + 1;  // one past the last changed line of the hunk
    for (std::size_t k = i; k < lines.size() && k < last + 2 * kContext; ++k) {
      if (lines[k].sign != ' ') last = k + 1;
    }
    i = std::min(last + kContext, lines.size());
    out += hunk(lines, first, i);
  }
  return out;
}

}  // namespace polyphony::config
