#include <polyphony/tensor/pandas_frame.h>

#include <cmath>
#include <set>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/numpy_array.h>
#include <polyphony/tensor/pickle.h>

namespace polyphony::tensor {
namespace {

using Kind = Value::Kind;

const std::set<std::string>& known_classes() {
  static const std::set<std::string> kNames = [] {
    std::set<std::string> names = {"pandas.core.frame.DataFrame",
                                   "pandas.core.internals.managers.BlockManager",
                                   "pandas.core.internals.blocks.new_block",
                                   "pandas._libs.internals._unpickle_block",
                                   "pandas.core.indexes.base._new_Index",
                                   "pandas.core.indexes.base.Index",
                                   "pandas.core.indexes.range.RangeIndex",
                                   "pandas.core.indexes.numeric.Int64Index",
                                   "builtins.slice",
                                   "__builtin__.slice",
                                   "functools.partial"};
    for (const std::string& name : numpy_classes()) names.insert(name);
    return names;
  }();
  return kNames;
}

/// Columns of one type, side by side: values [columns, rows] and where they stand.
struct Block {
  NumpyArray values;
  std::vector<std::int64_t> places;
};

class FrameReader {
 public:
  explicit FrameReader(const std::filesystem::path& path) : source_(path.string()) {}

  PandasFrame read() {
    const Value root = unpickle_objects(read_file(source_), known_classes(), source_, "table");
    if (class_of(root) != "pandas.core.frame.DataFrame") {
      refuse(fmt::format("holds {}, no DataFrame",
                         class_of(root).empty() ? "plain data" : class_of(root)));
    }
    const Value& state = root.at("state");
    const Value* manager = state.find("_mgr");
    if (manager == nullptr) manager = state.find("_data");  // before pandas 1.1
    if (manager == nullptr) refuse("is a DataFrame without data");
    std::vector<Block> blocks = blocks_of(*manager);
    return assemble(blocks);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw DataError(source_ + ": " + what,
                    "write it again: frame.to_pickle(path) of strings and integers, or "
                    "frame.to_csv(path, index=False)");
  }

  std::vector<std::int64_t> places_of(const Value& place) const {
    std::vector<std::int64_t> places;
    if (class_of(place).ends_with(".slice")) {
      const auto& parts = place.at("args").items();
      if (parts.size() != 3) refuse("is damaged: a slice without bounds");
      const bool stepped = parts[2].kind() == Kind::kInt;
      const std::int64_t step = stepped ? parts[2].as_int() : 1;
      const std::int64_t begin = parts[0].as_int();
      const std::int64_t end = parts[1].as_int();
      if (step < 1 || begin < 0 || end - begin > kMostColumns) refuse("is damaged: its columns");
      for (std::int64_t at = begin; at < end; at += step) places.push_back(at);
      return places;
    }
    for (const Value& cell : numpy_array(place, source_).cells) places.push_back(cell.as_int());
    return places;
  }

  Block block_of(const Value& values, const Value& place) const {
    Block block{numpy_array(values, source_), places_of(place)};
    if (block.values.shape.size() != 2 ||
        block.values.shape[0] != static_cast<std::int64_t>(block.places.size())) {
      refuse("is damaged: a block's shape does not fit its columns");
    }
    return block;
  }

  /// Fills names_ too. pandas 1.3 and later: BlockManager(blocks, axes); before: a state tuple
  /// whose last part has blocks and axes under "0.14.1".
  std::vector<Block> blocks_of(const Value& manager) {
    std::vector<Block> blocks;
    const Value& state = manager.at("state");
    if (state.kind() == Kind::kTuple && !state.items().empty()) {
      const Value& parts = state.items().back().at("0.14.1");
      read_axes(parts.at("axes"));
      for (const Value& block : parts.at("blocks").items()) {
        blocks.push_back(block_of(block.at("values"), block.at("mgr_locs")));
      }
      return blocks;
    }
    const auto& arguments = manager.at("args").items();
    if (arguments.size() != 2) refuse("is damaged: a BlockManager without blocks and axes");
    read_axes(arguments[1]);
    for (const Value& block : arguments[0].items()) {
      const auto& parts = block.at("args").items();
      if (parts.size() < 2) refuse("is damaged: a block without values and place");
      blocks.push_back(block_of(parts[0], parts[1]));
    }
    return blocks;
  }

  /// Column names, of the first axis.
  void read_axes(const Value& axes) {
    if (axes.items().size() != 2) refuse("is damaged: a table has two axes");
    const Value& columns = axes.items()[0];
    const auto& arguments = columns.at("args").items();
    if (class_of(columns) != "pandas.core.indexes.base._new_Index" || arguments.size() != 2) {
      refuse("has columns of an unknown kind");
    }
    const Value* data = arguments[1].find("data");
    if (data == nullptr) refuse("has columns without names");
    for (const Value& cell : numpy_array(*data, source_).cells) {
      if (cell.kind() != Kind::kString) refuse("has a column whose name is no string");
      names_.push_back(cell.as_string());
    }
  }

  std::optional<std::string> text_of(const Value& raw, const std::string& column,
                                     std::int64_t row) const {
    const Value value = numpy_scalar(raw, source_);
    switch (value.kind()) {
      case Kind::kNone:
        return std::nullopt;
      case Kind::kString:
        return value.as_string();
      case Kind::kInt:
        return std::to_string(value.as_int());
      case Kind::kFloat: {
        // A column of integers with holes is one of floats in pandas.
        const double number = value.as_float();
        if (std::isnan(number)) return std::nullopt;
        if (number == std::floor(number) && std::abs(number) < 1e15) {
          return std::to_string(static_cast<std::int64_t>(number));
        }
        refuse(fmt::format("column '{}', row {}: {} is no integer", column, row, number));
      }
      case Kind::kBool:
        refuse(fmt::format("column '{}', row {}: a bool", column, row));
      default:
        break;
    }
    const std::string name = class_of(value);
    refuse(fmt::format("column '{}', row {}: {} where a string or an integer belongs", column, row,
                       name.empty() ? "a container" : "'" + name + "'"));
  }

  PandasFrame assemble(const std::vector<Block>& blocks) const {
    PandasFrame frame;
    frame.columns = names_;
    const std::int64_t rows = blocks.empty() ? 0 : blocks[0].values.shape[1];
    frame.rows.assign(static_cast<std::size_t>(rows),
                      std::vector<std::optional<std::string>>(names_.size()));
    std::set<std::int64_t> filled;
    for (const Block& block : blocks) {
      if (block.values.shape[1] != rows) refuse("is damaged: columns of different lengths");
      for (std::size_t i = 0; i < block.places.size(); ++i) {
        const std::int64_t place = block.places[i];
        if (place < 0 || place >= std::ssize(names_) || !filled.insert(place).second) {
          refuse("is damaged: a block stands outside of the table");
        }
        const auto column = static_cast<std::size_t>(place);
        for (std::int64_t row = 0; row < rows; ++row) {
          const auto at = i * static_cast<std::size_t>(rows) + static_cast<std::size_t>(row);
          frame.rows[static_cast<std::size_t>(row)][column] =
              text_of(block.values.cells[at], names_[column], row);
        }
      }
    }
    if (std::ssize(filled) != std::ssize(names_)) refuse("is damaged: a column has no values");
    return frame;
  }

  static constexpr std::int64_t kMostColumns = 100'000;

  std::string source_;
  std::vector<std::string> names_;
};

}  // namespace

PandasFrame read_pandas_pickle(const std::filesystem::path& path) {
  try {
    return FrameReader(path).read();
  } catch (const DataError& error) {
    const std::string text = error.what();
    if (text.find("NDArrayBacked") != std::string::npos) {
      throw DataError(path.string() +
                          ": holds a column of dates, categories or pandas' own strings "
                          "(NDArrayBacked)",
                      "convert it before writing: frame.astype({column: str})");
    }
    if (text.starts_with(path.string())) throw;
    throw DataError(path.string() + ": is no DataFrame that pandas wrote, or damaged",
                    "write it again: frame.to_pickle(path)");
  }
}

}  // namespace polyphony::tensor
