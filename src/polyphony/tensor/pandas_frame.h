#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace polyphony::tensor {

/// A pandas DataFrame of strings and integers. Its index is left out.
struct PandasFrame {
  std::vector<std::string> columns;
  /// Rows of cells, as long as `columns`; integers in decimal, nullopt for None and NaN.
  std::vector<std::vector<std::optional<std::string>>> rows;
};

/// Reads what DataFrame.to_pickle wrote (pandas 1.0 to 2.x, uncompressed, protocols 2 to 5),
/// without running any of it.
/// @throws IoError where the file cannot be read; DataError beginning with the path where it is no
///         DataFrame or holds anything but strings and integers: class, column and row are named
PandasFrame read_pandas_pickle(const std::filesystem::path& path);

}  // namespace polyphony::tensor
