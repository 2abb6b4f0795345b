#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace polyphony {

/// A CSV table: RFC 4180, the first record is the header.
struct CsvTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  ///< each as long as the header
  std::vector<std::size_t> lines;              ///< line of the file where each row begins, from 1
};

/// @param source  name for messages
/// @throws DataError naming file and line: a row of another length, an unclosed quote, no header
CsvTable parse_csv(std::string_view text, const std::string& source);
/// @throws IoError where the file cannot be read; DataError as parse_csv
CsvTable read_csv(const std::filesystem::path& path);

/// What is whole of a table to which rows are appended, by a process that may have been killed in
/// the middle of one, or onto a disk that was full or lost its power. A row is whole with its line
/// end, as many cells as the header and no NUL. What is not is left out and counted: the torn end,
/// and rows damaged before it.
struct AppendedCsv {
  CsvTable table;                    ///< no header where not even that is whole
  std::vector<std::size_t> numbers;  ///< each row's place among all, those left out counted, from 0
  std::size_t left_out = 0;          ///< rows
  std::size_t first_left_out = 0;    ///< line of the first of them; 0: none

  /// All rows, those left out too.
  std::size_t total() const { return table.rows.size() + left_out; }
  /// "2 torn or damaged rows are left out, the first in line 7"; "" where there is none.
  std::string note() const;
};

AppendedCsv parse_appended_csv(std::string_view text, const std::string& source);
/// @throws IoError where the file cannot be read
AppendedCsv read_appended_csv(const std::filesystem::path& path);

/// As pandas writes it: cells with a comma, quote or line end are quoted; lines end with \n.
std::string to_csv(const CsvTable& table);
/// One row of it, with another line end.
std::string csv_row(const std::vector<std::string>& cells, std::string_view line_end);

}  // namespace polyphony
