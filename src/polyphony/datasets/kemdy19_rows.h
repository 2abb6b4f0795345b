#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <polyphony/base/csv.h>

namespace polyphony::datasets {

/// Where the rows of a split stand.
struct KemdyPlace {
  /// The folder that holds path_data/ and KEMDy19/, or one file (.pkl or .csv).
  std::string data_path;
  std::string split = "train";  ///< "predict" is the test split; unused where a file is named
  std::string target_column_name = "emotion";
  std::string audio_root;  ///< where "./KEMDy19/wav/…" begins; empty: found (see read_kemdy_rows)
};

struct KemdyRow {
  std::filesystem::path audio;
  std::string text;
  std::int64_t label = 0;
};

struct KemdyRows {
  std::vector<KemdyRow> rows;
  CsvTable table;            ///< the file's own columns
  std::string source;        ///< the file
  std::size_t left_out = 0;  ///< rows with a missing cell, as pandas' dropna() drops them
};

/// The rows of KEMDy19 as the original keeps them: path_data/path_SPLIT.pkl (a pandas pickle), or
/// the same table as path_SPLIT.csv, with columns total_path, text and the target; or
/// path_data/path_data.csv with a column `split`.
///
/// Recordings are at ROOT/KEMDy19/wav/…: the root is `audio_root`, else the data path where it is a
/// folder; for a file it is the first of the folder above path_data/ and (as in January 2024) the
/// first two folders of the path that has the first recording.
/// @param labels  labels are whole numbers below it
/// @throws DataError naming the files looked for, missing columns, a label out of range, no rows
KemdyRows read_kemdy_rows(const KemdyPlace& place, std::int64_t labels);

}  // namespace polyphony::datasets
