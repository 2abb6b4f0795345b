#include <polyphony/datasets/kemdy19_rows.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/tensor/pandas_frame.h>

namespace polyphony::datasets {
namespace {

namespace fs = std::filesystem;
using Cells = std::vector<std::optional<std::string>>;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// A table whose cells may be missing.
struct Frame {
  std::string source;
  std::vector<std::string> columns;
  std::vector<Cells> rows;

  std::size_t column(const std::string& name, const char* option) const {
    const auto found = std::find(columns.begin(), columns.end(), name);
    if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
    const std::string near = base::nearest(name, columns);
    throw DataError(fmt::format("{}: no column '{}'", source, name),
                    fmt::format("it has: {}{}{}", fmt::join(columns, ", "),
                                near.empty() ? "" : "; nearest: " + near, option));
  }
};

Frame read_frame(const fs::path& path) {
  if (path.extension() == ".csv") {
    CsvTable table = read_csv(path);
    Frame frame{path.string(), std::move(table.header), {}};
    for (auto& row : table.rows) {
      Cells cells;
      for (std::string& cell : row) {
        cells.push_back(cell.empty() ? std::nullopt : std::optional(std::move(cell)));
      }
      frame.rows.push_back(std::move(cells));
    }
    return frame;
  }
  tensor::PandasFrame pandas = tensor::read_pandas_pickle(path);
  return {path.string(), std::move(pandas.columns), std::move(pandas.rows)};
}

/// Only the rows of a split, where one file holds all.
void keep_split(Frame& frame, const std::string& split) {
  const std::size_t at = frame.column("split", "; path_data.csv needs one to serve all splits");
  std::erase_if(frame.rows, [&](const Cells& row) { return row[at] != split; });
}

/// The file of a split and its content.
Frame frame_of(const KemdyPlace& place) {
  const fs::path path = place.data_path;
  std::error_code error;
  if (is_file(path)) return read_frame(path);
  if (!fs::is_directory(path, error)) {
    throw DataError(fmt::format("{}: no such folder or file", place.data_path),
                    "dataset.data_path is the folder that holds path_data/ and KEMDy19/ "
                    "(connected_dir), or one of the files in path_data/");
  }
  const std::string split = place.split == "predict" ? "test" : place.split;
  const fs::path folder = path / "path_data";
  const std::string stem = "path_" + split;
  for (const fs::path& file : {folder / (stem + ".pkl"), folder / (stem + ".csv"),
                               path / (stem + ".pkl"), path / (stem + ".csv")}) {
    if (is_file(file)) return read_frame(file);
  }
  if (is_file(folder / "path_data.csv")) {
    Frame frame = read_frame(folder / "path_data.csv");
    keep_split(frame, split);
    return frame;
  }
  throw DataError(
      fmt::format("{}: neither path_data/{}.pkl nor path_data/{}.csv", place.data_path, stem, stem),
      "check dataset.data_path and dataset.split (train, val, test or predict)");
}

/// "./KEMDy19/wav/a.wav" without the dot: the original cuts the first two letters.
fs::path below_root(const std::string& total_path) {
  return total_path.starts_with("./") ? total_path.substr(2) : total_path;
}

/// As January 2024's code: the first three parts of the path's text, "/home/USER".
fs::path first_folders(const std::string& data_path) {
  std::size_t at = data_path.find('/');
  for (int i = 0; i < 2 && at != std::string::npos; ++i) at = data_path.find('/', at + 1);
  return at == std::string::npos ? fs::path() : fs::path(data_path.substr(0, at));
}

fs::path root_of(const KemdyPlace& place, const fs::path& first) {
  if (!place.audio_root.empty()) return place.audio_root;
  if (!is_file(place.data_path)) return place.data_path;
  const fs::path above = fs::path(place.data_path).parent_path().parent_path();
  for (const fs::path& root : {above, first_folders(place.data_path)}) {
    if (!root.empty() && is_file(root / first)) return root;
  }
  return above;
}

std::int64_t label_of(const std::string& cell, const Frame& frame, std::size_t row,
                      std::int64_t labels) {
  std::int64_t label = -1;
  const char* end = cell.data() + cell.size();
  const auto [stop, error] = std::from_chars(cell.data(), end, label);
  if (error == std::errc() && stop == end && label >= 0 && label < labels) return label;
  throw DataError(
      fmt::format("{}: row {}: label '{}' is out of range", frame.source, row + 1, cell),
      fmt::format("labels are 0 to {}; see dataset.num_labels and "
                  "dataset.target_column_name",
                  labels - 1));
}

}  // namespace

KemdyRows read_kemdy_rows(const KemdyPlace& place, std::int64_t labels) {
  const Frame frame = frame_of(place);
  const std::size_t path = frame.column("total_path", "");
  const std::size_t text = frame.column("text", "");
  const std::size_t target =
      frame.column(place.target_column_name, "; see dataset.target_column_name");
  KemdyRows read;
  read.source = frame.source;
  read.table.header = frame.columns;
  std::optional<fs::path> root;
  for (std::size_t i = 0; i < frame.rows.size(); ++i) {
    const Cells& cells = frame.rows[i];
    if (std::any_of(cells.begin(), cells.end(), [](const auto& cell) { return !cell; })) {
      ++read.left_out;
      continue;
    }
    const fs::path below = below_root(*cells[path]);
    if (!root) root = root_of(place, below);
    read.rows.push_back({*root / below, *cells[text], label_of(*cells[target], frame, i, labels)});
    std::vector<std::string> texts;
    for (const auto& cell : cells) texts.push_back(*cell);
    read.table.rows.push_back(std::move(texts));
    read.table.lines.push_back(i + 1);
  }
  if (read.rows.empty()) {
    throw DataError(fmt::format("{}: no row is whole ({} rows)", frame.source, frame.rows.size()),
                    "each row needs a path, a text and a label");
  }
  return read;
}

}  // namespace polyphony::datasets
