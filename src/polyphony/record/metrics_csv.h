#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace polyphony::record {

/// A run's metrics as a table: epoch, step, then one column a metric, in order of appearance.
/// Values that a row does not have are empty cells. Every row is flushed.
class MetricsCsv {
 public:
  /// Goes on with a file that exists; makes it with the first row otherwise.
  /// @throws IoError if the file cannot be read, DataError if it is no such table
  explicit MetricsCsv(std::filesystem::path path);

  /// A metric seen for the first time adds a column: the file is then written anew, whole or not at
  /// all.
  /// @throws IoError naming the path and what to check
  void append(std::int64_t step, std::int64_t epoch,
              const std::vector<std::pair<std::string, double>>& values);
  const std::filesystem::path& path() const { return path_; }

 private:
  void open();

  std::filesystem::path path_;
  std::vector<std::string> header_;
  std::ofstream out_;
};

}  // namespace polyphony::record
