#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <polyphony/board/json.h>
#include <polyphony/record/run_filter.h>
#include <polyphony/record/run_index.h>

namespace polyphony::board {

/// What of the runs a table shows.
struct TableView {
  std::string where;                     ///< a RunFilter; "": all
  std::string sort = "id:desc";          ///< a RunOrder
  std::vector<std::string> columns;      ///< fields
  std::string group;                     ///< a field; "": no groups
  std::set<std::string> open;            ///< groups whose runs are shown
  std::int64_t offset = 0, limit = 200;  ///< of the rows
};

/// {"total", "matching", "length", "offset", "rows"}: `length` counts the table's lines, a group's
/// heads among them; `rows` is the part asked for. A run is {"id", "state", "died", "cells"}; a
/// group
/// {"group", "runs", "open", "cells"}, whose cells are the mean and the range of numbers
/// ({"mean", "low", "high"}), the text where all have one, or null.
/// @throws UsageError for a filter, an order or a field that cannot be
Json table_json(const record::RunIndex& index, const TableView& view);

/// The ids alone, in the table's order; at most `limit`.
Json table_ids_json(const record::RunIndex& index, const TableView& view);

/// {"runs", "states": {state: count}, "metrics": [name], "fields": [name], "keys": [name],
/// "varying": [name]}: the keys of configurations, and those whose values differ between runs.
Json fields_json(const record::RunIndex& index);

/// {"ids", "names", "total", "values": {field: [value or null]}}: at most `limit` runs that match.
Json points_json(const record::RunIndex& index, const TableView& view);

}  // namespace polyphony::board
