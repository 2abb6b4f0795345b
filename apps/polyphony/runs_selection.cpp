#include "runs_selection.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>

namespace polyphony::app {

using record::RunFilter;
using record::RunIndex;
using record::RunList;

void add_store_option(CLI::App& command, const std::shared_ptr<RunSelection>& selection) {
  command.add_option("--store", selection->store,
                     "the run store (POLYPHONY_STORE, else logs/polyphony.db)");
}

void add_selection_options(CLI::App& command, const std::shared_ptr<RunSelection>& selection) {
  command.add_option("-w,--where", selection->where,
                     "only runs of which this holds, repeatable: \"test_acc > 0.7 and "
                     "optimizer.lr <= 1e-3\"");
  command.add_option("--state", selection->state, "only runs in this state")
      ->check(CLI::IsMember({"running", "finished", "failed", "interrupted"}));
  command.add_option("--tag", selection->tag, "only runs with this tag");
  command.add_option("--sort", selection->sort,
                     "a metric, configuration key or field, with :desc for the largest first "
                     "(newest first where absent)");
  command.add_option("--limit", selection->limit, "at most so many")->check(CLI::PositiveNumber);
}

RunIndex open_index(const RunSelection& selection) {
  return RunIndex(selection.store.empty() ? record::default_store_path()
                                          : std::filesystem::path(selection.store));
}

RunList selected_runs(const RunIndex& index, const RunSelection& selection) {
  const record::RunOrder order =
      selection.sort.empty() ? record::RunOrder{} : record::parse_order(selection.sort);
  index.check_field(order.field);
  std::vector<RunFilter> filters;
  for (const std::string& text : selection.where) {
    filters.emplace_back(text);
    filters.back().check_fields(index);
  }
  RunList runs = record::select_runs(index, RunFilter(""), order);
  std::erase_if(runs, [&](const record::IndexedRun* entry) {
    const record::Run& run = entry->run;
    if (!selection.state.empty() && selection.state != to_string(run.state)) return true;
    if (!selection.tag.empty() &&
        std::find(run.tags.begin(), run.tags.end(), selection.tag) == run.tags.end()) {
      return true;
    }
    return std::any_of(filters.begin(), filters.end(),
                       [&](const RunFilter& filter) { return !filter.matches(index, *entry); });
  });
  const auto most = static_cast<std::size_t>(selection.limit);
  if (selection.limit > 0 && runs.size() > most) runs.resize(most);
  return runs;
}

RunList runs_by_id(const RunIndex& index, const std::vector<std::int64_t>& ids) {
  RunList runs;
  for (const std::int64_t id : ids) {
    const auto found = index.runs().find(id);
    if (found == index.runs().end()) {
      throw UsageError(fmt::format("{}: there is no run {}", index.store().path().string(), id),
                       "`polyphony runs` lists those there are");
    }
    runs.push_back(&found->second);
  }
  return runs;
}

}  // namespace polyphony::app
