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
/// As pandas writes it: cells with a comma, quote or line end are quoted; lines end with \n.
std::string to_csv(const CsvTable& table);

}  // namespace polyphony
