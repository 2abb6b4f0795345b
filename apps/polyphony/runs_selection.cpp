#include "runs_selection.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/record/store_journal.h>
#include "whole_number.h"

namespace polyphony::app {

using record::RunFilter;
using record::RunIndex;
using record::RunList;

namespace {

/// One value, wherever it was written; two that differ are a mistake.
template <class T>
void take(std::optional<T>& value, const T& given, const std::string& option) {
  if (value && *value != given) {
    throw UsageError(fmt::format("{}: given twice, as `{}` and as `{}`", option, *value, given),
                     "say it once, before or behind the verb");
  }
  value = given;
}

/// An empty text is a variable of the shell that was not set, and would mean "all".
void refuse_empty(const std::string& given, const std::string& option) {
  if (given.empty()) throw UsageError(option + ": its value is empty", "give one, or leave it out");
}

void add_text(CLI::App& command, const std::string& names, const std::string& option,
              std::optional<std::string>& value, const std::string& doc,
              const std::vector<std::string>& among = {}) {
  auto* added = command.add_option_function<std::string>(
      names,
      [&value, option](const std::string& given) {
        refuse_empty(given, option);
        take(value, given, option);
      },
      doc);
  if (!among.empty()) added->check(CLI::IsMember(among));
}

void add_texts(CLI::App& command, const std::string& names, const std::string& option,
               std::vector<std::string>& values, const std::string& doc) {
  command
      .add_option_function<std::vector<std::string>>(
          names,
          [&values, option](const std::vector<std::string>& given) {
            for (const std::string& text : given) refuse_empty(text, option);
            values.insert(values.end(), given.begin(), given.end());
          },
          doc)
      ->expected(1)
      ->take_all();
}

void add_choice(CLI::App& command, const Selection& selection) {
  add_texts(command, "-w,--where", "--where", selection->where,
            "only runs of which this holds, repeatable: \"test_acc > 0.7 and "
            "optimizer.lr <= 1e-3\"");
  add_text(command, "--state", "--state", selection->state, "only runs in this state",
           {"running", "finished", "failed", "interrupted"});
  add_text(command, "--tag", "--tag", selection->tag, "only runs with this tag");
  add_text(command, "--sort", "--sort", selection->sort,
           "a metric, configuration key or field, with :desc for the largest first "
           "(newest first where absent)");
  command
      .add_option_function<std::int64_t>(
          "--limit", [selection](std::int64_t given) { take(selection->limit, given, "--limit"); },
          "at most so many")
      ->transform(whole_number(1));
}

void add_options(CLI::App& command, const Selection& selection, Options options) {
  switch (options) {
    case Options::kStore:
      return add_text(command, "--store", "--store", selection->store,
                      "the run store (POLYPHONY_STORE, else logs/polyphony.db)");
    case Options::kChoice:
      return add_choice(command, selection);
    case Options::kFormat:
      return add_text(command, "--format", "--format", selection->format,
                      "table, csv, json, markdown or latex",
                      {"table", "csv", "json", "markdown", "latex"});
    case Options::kOutput:
      return add_text(command, "-o,--output", "--output", selection->output,
                      "write to this file, whole or not at all");
    case Options::kFields:
      return add_texts(command, "--metric,--column", "--column", selection->fields,
                       "a metric, configuration key or field to show, repeatable (the metrics of "
                       "the test set where absent)");
  }
}

constexpr std::array kAll = {Options::kStore, Options::kChoice, Options::kFormat, Options::kOutput,
                             Options::kFields};

/// The options that one set adds, by their long names.
std::set<std::string> names_of(const std::vector<Options>& honoured) {
  CLI::App command;
  const auto selection = std::make_shared<RunSelection>();
  for (const Options options : honoured) add_options(command, selection, options);
  std::set<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    names.insert(option->get_lnames().begin(), option->get_lnames().end());
  }
  return names;
}

/// What stands before the verb must be something that it honours.
void check_parent(const CLI::App& runs, const CLI::App& verb, const std::set<std::string>& names) {
  for (const CLI::Option* option : runs.get_options()) {
    if (option->count() == 0 || names.contains(option->get_lnames().front())) continue;
    throw UsageError(
        fmt::format("polyphony runs {}: --{} before it says nothing to it", verb.get_name(),
                    option->get_lnames().front()),
        fmt::format("leave it out; `polyphony runs {} --help` lists the options that it takes",
                    verb.get_name()));
  }
}

bool matches(const RunIndex& index, const record::IndexedRun& entry, const RunSelection& selection,
             const std::vector<RunFilter>& filters) {
  const record::Run& run = entry.run;
  if (selection.state && *selection.state != to_string(run.state)) return false;
  if (selection.tag &&
      std::find(run.tags.begin(), run.tags.end(), *selection.tag) == run.tags.end()) {
    return false;
  }
  return std::all_of(filters.begin(), filters.end(),
                     [&](const RunFilter& filter) { return filter.matches(index, entry); });
}

/// @throws UsageError for a number that no run has
void keep_named(const RunIndex& index, const std::vector<std::int64_t>& ids, bool as_named,
                RunList& runs) {
  for (const std::int64_t id : ids) {
    if (index.runs().contains(id)) continue;
    throw UsageError(fmt::format("{}: there is no run {}", index.store().path().string(), id),
                     "`polyphony runs` lists those there are");
  }
  const auto place = [&ids](const record::IndexedRun* run) {
    return std::find(ids.begin(), ids.end(), run->run.id) - ids.begin();
  };
  std::erase_if(runs, [&](const record::IndexedRun* run) {
    return place(run) == static_cast<std::ptrdiff_t>(ids.size());
  });
  if (!as_named) return;
  std::sort(runs.begin(), runs.end(),
            [&](const auto* a, const auto* b) { return place(a) < place(b); });
}

void tell_left_out(const std::vector<std::int64_t>& ids, const RunList& runs) {
  std::set<std::int64_t> left_out(ids.begin(), ids.end());
  for (const record::IndexedRun* run : runs) left_out.erase(run->run.id);
  if (left_out.empty()) return;
  if (runs.empty()) {
    throw UsageError(fmt::format("none of the runs named ({}) is among those that the options "
                                 "choose",
                                 fmt::join(left_out, ", ")),
                     "leave out --where, --state, --tag or --limit");
  }
  fmt::print(stderr, "left out, as the options say: run {}\n", fmt::join(left_out, ", "));
}

}  // namespace

void add_run_options(CLI::App& runs, const Selection& selection) {
  for (const Options options : kAll) add_options(runs, selection, options);
}

void add_run_verb(CLI::App& runs, CLI::App& verb, const Selection& selection, OptionSet honoured,
                  std::function<void()> work) {
  for (const Options options : honoured) add_options(verb, selection, options);
  verb.callback([&runs, &verb, names = names_of(honoured), work = std::move(work)] {
    check_parent(runs, verb, names);
    work();
  });
}

std::filesystem::path store_path(const RunSelection& selection) {
  return selection.store ? std::filesystem::path(*selection.store) : record::default_store_path();
}

RunIndex open_index(const RunSelection& selection) {
  const std::filesystem::path path = store_path(selection);
  record::bring_in_waiting(path);
  return RunIndex(path);
}

RunList selected_runs(const RunIndex& index, const RunSelection& selection,
                      const std::vector<std::int64_t>& ids) {
  const record::RunOrder order =
      selection.sort ? record::parse_order(*selection.sort) : record::RunOrder{};
  index.check_field(order.field);
  std::vector<RunFilter> filters;
  for (const std::string& text : selection.where) {
    filters.emplace_back(text);
    filters.back().check_fields(index);
  }
  RunList runs = record::select_runs(index, RunFilter(""), order);
  if (!ids.empty()) keep_named(index, ids, !selection.sort, runs);
  std::erase_if(runs, [&](const record::IndexedRun* entry) {
    return !matches(index, *entry, selection, filters);
  });
  const auto most = static_cast<std::size_t>(selection.limit.value_or(0));
  if (selection.limit && runs.size() > most) runs.resize(most);
  if (!ids.empty()) tell_left_out(ids, runs);
  return runs;
}

RunList chosen_runs(const RunIndex& index, const RunSelection& selection,
                    const std::vector<std::int64_t>& ids, const std::string& verb) {
  if (ids.empty() && !selection.narrows()) {
    throw UsageError(fmt::format("polyphony runs {}: which runs?", verb),
                     "name them by number, or choose them with --where, --state, --tag or --limit");
  }
  return selected_runs(index, selection, ids);
}

}  // namespace polyphony::app
