#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <polyphony/base/terminal/table.h>
#include <polyphony/record/run_index.h>

namespace polyphony::record {

using RunList = std::vector<const IndexedRun*>;

enum class TableFormat { kText, kCsv, kJson, kMarkdown, kLatex };
/// "table", "csv", "json", "markdown", "latex".
std::optional<TableFormat> parse_table_format(const std::string& name);

enum class Digits {
  kShort,  ///< four behind the point, for a reader
  kAll,    ///< every bit, for a program
};

/// The metrics of the test set that any of the runs has, in order of name.
std::vector<std::string> test_metrics(const RunList& runs);

/// One row a run: id, name, state, started, seconds, tags, then these fields, then the directory.
Table run_table(const RunIndex& index, const RunList& runs, const std::vector<std::string>& fields,
                Digits digits);

/// All that is known of a run but its configuration; NaN and infinities are texts.
nlohmann::ordered_json run_json(const IndexedRun& run);

/// Where runs differ, and what they reached.
struct Comparison {
  using Row = std::pair<std::string, std::vector<std::string>>;  ///< a name; one cell a run
  std::vector<Row> config;   ///< keys whose values are not the same in all; "-" where there is none
  std::vector<Row> metrics;  ///< the last value of each
};
Comparison compare_runs(const RunIndex& index, const RunList& runs, Digits digits);

}  // namespace polyphony::record
