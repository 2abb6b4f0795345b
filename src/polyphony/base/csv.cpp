#include <polyphony/base/csv.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

namespace polyphony {
namespace {

struct Record {
  std::vector<std::string> cells;
  std::size_t line = 0;
};

/// Reads records one by one from a text.
class Reader {
 public:
  Reader(std::string_view text, const std::string& source) : text_(text), source_(source) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  bool next(Record& record) {
    skip_blank_lines();
    if (at_ >= text_.size()) return false;
    record.cells.clear();
    record.line = line_;
    while (true) {
      record.cells.push_back(cell());
      if (at_ >= text_.size()) return true;
      const char end = text_[at_++];
      if (end == ',') continue;
      if (end == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
      ++line_;
      return true;
    }
  }

  std::size_t at() const { return at_; }
  std::string_view text() const { return text_; }
  /// Goes on behind the line that begins here (or in which this lies).
  void skip_line_of(std::size_t at, std::size_t line) {
    at_ = std::min(text_.find('\n', at), text_.size() - 1) + 1;
    line_ = line + 1;
  }
  void skip_blank_lines() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) {
      if (text_[at_] == '\n') ++line_;
      ++at_;
    }
  }
  std::size_t line() const { return line_; }

 private:
  std::string cell() {
    if (at_ >= text_.size() || text_[at_] != '"') {
      const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
      const std::size_t begin = std::exchange(at_, end);
      return std::string(text_.substr(begin, end - begin));
    }
    return quoted();
  }

  std::string quoted() {
    const std::size_t opened = line_;
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c != '"') {
        value += c;
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        value += '"';
        ++at_;
      } else {
        ++at_;
        if (at_ < text_.size() &&
            std::string_view(",\r\n").find(text_[at_]) == std::string_view::npos) {
          throw DataError(
              fmt::format("{}:{}: text after the closing quote of a cell", source_, line_),
              "write \"\" for a quote inside a cell");
        }
        return value;
      }
    }
    throw DataError(fmt::format("{}:{}: a quoted cell is never closed", source_, opened),
                    "close the quote, or write \"\" for a quote inside a cell");
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

void append_cell(std::string& text, const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) {
    text += cell;
    return;
  }
  text += '"';
  for (const char c : cell) {
    if (c == '"') text += '"';
    text += c;
  }
  text += '"';
}

/// Rows of a text of whole lines, of which some may be damaged.
class AppendedReader {
 public:
  AppendedReader(std::string_view lines, const std::string& source) : reader_(lines, source) {}

  /// @return whether the last row is torn inside quotes
  bool read(AppendedCsv& found) {
    for (;;) {
      reader_.skip_blank_lines();
      if (reader_.at() >= reader_.text().size()) break;
      const std::size_t begin = reader_.at(), line = reader_.line();
      if (is_whole(found.table.header)) {
        take(found, line);
      } else {
        leave_out(found, line);
        reader_.skip_line_of(begin, line);
      }
    }
    // A quote that no whole row follows has swallowed the end: that is one torn row.
    if (before_open_) found.left_out = *before_open_ + 1;
    return before_open_.has_value();
  }

 private:
  bool is_whole(const std::vector<std::string>& header) {
    const std::size_t begin = reader_.at();
    try {
      if (!reader_.next(record_)) return false;
    } catch (const DataError&) {
      open_ = true;
      return false;
    }
    open_ = false;
    const std::string_view row = reader_.text().substr(begin, reader_.at() - begin);
    return row.find('\0') == std::string_view::npos &&
           (header.empty() || record_.cells.size() == header.size());
  }

  void take(AppendedCsv& found, std::size_t line) {
    before_open_.reset();
    if (found.table.header.empty()) {
      found.table.header = std::move(record_.cells);
      return;
    }
    found.numbers.push_back(found.total());
    found.table.rows.push_back(std::move(record_.cells));
    found.table.lines.push_back(line);
  }

  void leave_out(AppendedCsv& found, std::size_t line) {
    if (open_ && !before_open_) before_open_ = found.left_out;
    if (found.left_out++ == 0) found.first_left_out = line;
  }

  Reader reader_;
  Record record_;
  bool open_ = false;                       ///< the last row could not be cut into cells
  std::optional<std::size_t> before_open_;  ///< rows left out before the first such one
};

}  // namespace

std::string csv_row(const std::vector<std::string>& cells, std::string_view line_end) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) text += ',';
    append_cell(text, cells[i]);
  }
  return text.append(line_end);
}

std::string AppendedCsv::note() const {
  if (left_out == 0) return "";
  return left_out == 1
             ? fmt::format("1 torn or damaged row is left out, in line {}", first_left_out)
             : fmt::format("{} torn or damaged rows are left out, the first in line {}", left_out,
                           first_left_out);
}

AppendedCsv parse_appended_csv(std::string_view text, const std::string& source) {
  AppendedCsv found;
  const std::size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
  const bool open = AppendedReader(text.substr(0, whole), source).read(found);
  if (whole < text.size() && !open) {
    if (found.left_out++ == 0) {
      found.first_left_out =
          1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }
  }
  return found;
}

AppendedCsv read_appended_csv(const std::filesystem::path& path) {
  return parse_appended_csv(read_file(path), path.string());
}

CsvTable parse_csv(std::string_view text, const std::string& source) {
  Reader reader(text, source);
  CsvTable table;
  Record record;
  if (!reader.next(record)) {
    throw DataError(source + ": the table is empty", "its first line names the columns");
  }
  table.header = record.cells;
  while (reader.next(record)) {
    if (record.cells.size() != table.header.size()) {
      throw DataError(fmt::format("{}:{}: {} cells, but the header names {} columns", source,
                                  record.line, record.cells.size(), table.header.size()),
                      "quote cells that hold a comma or a line end");
    }
    table.rows.push_back(std::move(record.cells));
    table.lines.push_back(record.line);
  }
  return table;
}

CsvTable read_csv(const std::filesystem::path& path) {
  return parse_csv(read_file(path), path.string());
}

std::string to_csv(const CsvTable& table) {
  std::string text;
  text += csv_row(table.header, "\n");
  for (const auto& row : table.rows) text += csv_row(row, "\n");
  return text;
}

}  // namespace polyphony
