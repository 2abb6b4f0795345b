#include <polyphony/base/csv.h>

#include <algorithm>
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

 private:
  void skip_blank_lines() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) {
      if (text_[at_] == '\n') ++line_;
      ++at_;
    }
  }

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

void append_row(std::string& text, const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) text += ',';
    append_cell(text, cells[i]);
  }
  text += '\n';
}

}  // namespace

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
  append_row(text, table.header);
  for (const auto& row : table.rows) append_row(text, row);
  return text;
}

}  // namespace polyphony
