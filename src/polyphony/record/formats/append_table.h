#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/record/formats/append_file.h>

namespace polyphony::record {

/// A CSV table that only grows. Rows are appended; one with a new column writes the file anew,
/// whole or not at all. Cells that a row does not have are empty. Whatever a flush dies of (a kill,
/// a full disk), the file is a table, and what it holds no row of is written by the next flush.
class AppendTable {
 public:
  using Cells = std::vector<std::pair<std::string, std::string>>;  ///< column, text

  /// Goes on with a table that is there, behind its last whole row; what is torn or damaged in it
  /// is told on standard error. Makes the file with the first flush otherwise.
  /// @param columns  of a new table, before those of the first row
  /// @throws IoError if the file cannot be read
  AppendTable(std::filesystem::path path, std::string line_end,
              std::vector<std::string> columns = {});

  void add(const Cells& cells);
  /// @throws IoError naming path and reason; the rows wait for the next call
  void flush();

  const std::filesystem::path& path() const { return path_; }
  const std::vector<std::string>& header() const { return header_; }

 private:
  void write_anew(const std::string& lines);

  std::filesystem::path path_;
  std::string line_end_;
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;  ///< not yet in the file
  bool anew_ = true;                            ///< the header has grown since it was written
  std::unique_ptr<AppendFile> out_;
};

}  // namespace polyphony::record
