#include <polyphony/base/terminal/table.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <polyphony/base/csv.h>
#include <polyphony/base/terminal/terminal.h>

namespace polyphony {
namespace {

bool is_number(const std::string& cell) {
  char* end = nullptr;
  std::strtod(cell.c_str(), &end);
  if (end == cell.c_str()) return false;
  return *end == '\0' || (*end == '%' && end[1] == '\0');
}

/// Without line breaks and other control characters, which a terminal would obey.
std::string one_line(std::string cell) {
  std::replace_if(
      cell.begin(), cell.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, ' ');
  return cell;
}

std::string padded(const std::string& cell, int width, bool right) {
  const std::string space(static_cast<std::size_t>(std::max(0, width - display_width(cell))), ' ');
  return right ? space + cell : cell + space;
}

std::string escaped(const std::string& cell) {
  std::string text;
  for (const char c : cell) text += c == '|' ? std::string("\\|") : std::string(1, c);
  return text;
}

/// TeX's own signs written so that they print.
std::string in_latex(const std::string& cell) {
  std::string text;
  for (const char c : cell) {
    switch (c) {
      case '\\':
        text += "\\textbackslash{}";
        break;
      case '~':
        text += "\\textasciitilde{}";
        break;
      case '^':
        text += "\\textasciicircum{}";
        break;
      case '<':
        text += "\\textless{}";
        break;
      case '>':
        text += "\\textgreater{}";
        break;
      default:
        if (std::string_view("&%$#_{}").find(c) != std::string_view::npos) text += '\\';
        text += c;
    }
  }
  return text;
}

}  // namespace

Table::Table(std::vector<std::string> header) : header_(std::move(header)) {
  for (std::string& cell : header_) cell = one_line(std::move(cell));
}

void Table::add_row(std::vector<std::string> cells) {
  if (cells.size() > header_.size()) throw std::invalid_argument("more cells than columns");
  cells.resize(header_.size());
  for (std::string& cell : cells) cell = one_line(std::move(cell));
  rows_.push_back(std::move(cells));
}

std::vector<int> Table::widths() const {
  std::vector<int> widths;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    int width = display_width(header_[i]);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  return widths;
}

std::vector<bool> Table::numeric() const {
  std::vector<bool> numeric;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    bool any = false;
    bool all = true;
    for (const auto& row : rows_) {
      if (row[i].empty() || row[i] == "-") continue;
      any = true;
      all = all && is_number(row[i]);
    }
    numeric.push_back(any && all);
  }
  return numeric;
}

std::string Table::to_text() const {
  const std::vector<int> width = widths();
  const std::vector<bool> right = numeric();
  std::string text;
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += (i > 0 ? "  " : "") + padded(cells[i], width[i], right[i]);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text += line + "\n";
  };
  add(header_);
  std::vector<std::string> rule;
  for (const int columns : width) rule.emplace_back(static_cast<std::size_t>(columns), '-');
  add(rule);
  for (const auto& row : rows_) add(row);
  return text;
}

std::string Table::to_markdown() const {
  const std::vector<bool> right = numeric();
  std::string text;
  const auto add = [&text](const std::vector<std::string>& cells) {
    text += "|";
    for (const std::string& cell : cells) text += " " + escaped(cell) + " |";
    text += "\n";
  };
  add(header_);
  std::vector<std::string> rule;
  for (const bool number : right) rule.emplace_back(number ? "---:" : "---");
  add(rule);
  for (const auto& row : rows_) add(row);
  return text;
}

std::string Table::to_latex() const {
  std::string columns;
  for (const bool number : numeric()) columns += number ? 'r' : 'l';
  std::string text = "\\begin{tabular}{" + columns + "}\n\\toprule\n";
  const auto add = [&text](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i)
      text += (i > 0 ? " & " : "") + in_latex(cells[i]);
    text += " \\\\\n";
  };
  add(header_);
  text += "\\midrule\n";
  for (const auto& row : rows_) add(row);
  return text + "\\bottomrule\n\\end{tabular}\n";
}

std::string Table::to_csv() const { return polyphony::to_csv({header_, rows_, {}}); }

}  // namespace polyphony
