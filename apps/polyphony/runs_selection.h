#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <polyphony/record/run_filter.h>
#include <polyphony/record/run_table.h>

namespace CLI {
class App;
}

namespace polyphony::app {

/// Which runs a verb is about, as the command line says it.
struct RunSelection {
  std::string store;
  std::vector<std::string> where;  ///< all must hold
  std::string state, tag;
  std::string sort;        ///< empty: newest first
  std::int64_t limit = 0;  ///< 0: all
};

void add_store_option(CLI::App& command, const std::shared_ptr<RunSelection>& selection);
/// --where, --state, --tag, --sort, --limit.
void add_selection_options(CLI::App& command, const std::shared_ptr<RunSelection>& selection);

/// @throws IoError where there is no store
record::RunIndex open_index(const RunSelection& selection);
/// @throws UsageError for a filter that cannot be read or names a field that no run has
record::RunList selected_runs(const record::RunIndex& index, const RunSelection& selection);
/// @throws UsageError for an id that no run has
record::RunList runs_by_id(const record::RunIndex& index, const std::vector<std::int64_t>& ids);

}  // namespace polyphony::app
