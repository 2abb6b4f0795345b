#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/record/run_filter.h>
#include <polyphony/record/run_table.h>

namespace CLI {
class App;
}

namespace polyphony::app {

/// What the command line says to `runs` and its verbs in common: of which store, which runs, and
/// how they are shown. There is one of it, wherever its options were written.
struct RunSelection {
  std::optional<std::string> store;
  std::vector<std::string> where;  ///< all must hold
  std::optional<std::string> state, tag;
  std::optional<std::string> sort;    ///< newest first where absent
  std::optional<std::int64_t> limit;  ///< all where absent
  std::optional<std::string> format;  ///< the verb's own where absent
  std::optional<std::string> output;  ///< file; standard output where absent
  std::vector<std::string> fields;    ///< columns; empty: the metrics of the test set

  /// Whether it leaves any run out.
  bool narrows() const { return !where.empty() || state || tag || limit; }
};
using Selection = std::shared_ptr<RunSelection>;

/// Options that verbs honour together.
enum class Options {
  kStore,   ///< --store
  kChoice,  ///< --where, --state, --tag, --sort, --limit
  kFormat,  ///< --format
  kOutput,  ///< --output
  kFields,  ///< --metric, --column
};
using OptionSet = std::initializer_list<Options>;

/// Adds all of them to `runs` itself, where they may stand before the verb.
void add_run_options(CLI::App& runs, const Selection& selection);
/// Adds to a verb of `runs` those that it honours, and what it does. Each may stand before or
/// behind the verb, once; one that stands before a verb that does not honour it is refused.
void add_run_verb(CLI::App& runs, CLI::App& verb, const Selection& selection, OptionSet honoured,
                  std::function<void()> work);

std::filesystem::path store_path(const RunSelection& selection);
/// What runs could not bring into the store before is brought in first.
/// @throws IoError where there is no store
record::RunIndex open_index(const RunSelection& selection);
/// Of the runs with these numbers (all where there are none), those that the selection leaves, in
/// the order named, or as --sort says. One named twice is one.
/// @throws UsageError for a number that no run has, where none of those named is left, for a filter
///         that cannot be read or names a field that no run has
record::RunList selected_runs(const record::RunIndex& index, const RunSelection& selection,
                              const std::vector<std::int64_t>& ids = {});
/// The same for a verb that must be told which runs it is about.
/// @throws UsageError also where neither a number nor an option says it
record::RunList chosen_runs(const record::RunIndex& index, const RunSelection& selection,
                            const std::vector<std::int64_t>& ids, const std::string& verb);

}  // namespace polyphony::app
