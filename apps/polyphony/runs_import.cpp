#include "runs_import.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/record/import_runs.h>
#include <polyphony/record/store_journal.h>
#include "runs_selection.h"

namespace polyphony::app {
namespace {

namespace fs = std::filesystem;
using record::FoundRecord;
using record::ImportedRun;

struct ImportArguments {
  std::vector<std::string> paths, tags;
  std::string kind = "auto", group, name;
  bool again = false;
};

/// One record. @returns false where it is in the store already
bool import_one(record::Store& store, const FoundRecord& found, const ImportArguments& arguments) {
  ImportedRun run = record::read_record(found);
  if (!arguments.again) {
    if (const auto id = record::imported_before(store, run)) {
      fmt::print("{}: already run {}\n", found.path.string(), *id);
      return false;
    }
  }
  run.info.tags.insert(run.info.tags.end(), arguments.tags.begin(), arguments.tags.end());
  if (!arguments.group.empty()) run.info.group = arguments.group;
  if (!arguments.name.empty()) run.info.name = arguments.name;
  const std::int64_t id = record::store_imported(store, run);
  fmt::print("run {} {}: {} values from {}{}\n", id, run.info.name, run.metrics.size(),
             found.path.string(), run.left_out.empty() ? "" : " (" + run.left_out + ")");
  return true;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const fs::path relative = fs::absolute(path).lexically_normal().lexically_relative(
      fs::absolute(folder).lexically_normal());
  return !relative.empty() && *relative.begin() != "..";
}

/// What runs of this program could not record, found in a path. @returns their directories, whose
/// other records are of the same runs
std::vector<fs::path> bring_in_pending(record::Store& store, const fs::path& path) {
  std::vector<fs::path> folders;
  for (const fs::path& journal : record::find_journals(path)) {
    if (const auto done = record::bring_in(store, journal)) {
      fmt::print("brought in: {}\n", to_string(*done));
    } else {
      fmt::print("{}: its run goes on and brings it in itself\n", journal.string());
    }
    folders.push_back(journal.has_parent_path() ? journal.parent_path() : ".");
  }
  return folders;
}

/// The records of a path that are of other programs.
std::vector<FoundRecord> other_records(const fs::path& path, std::optional<record::RecordKind> only,
                                       const std::vector<fs::path>& own) {
  if (!own.empty() && !fs::is_directory(path)) return {};  // the journal itself
  std::vector<FoundRecord> records;
  try {
    records = record::find_records(path, only);
  } catch (const DataError&) {
    if (own.empty()) throw;
  }
  std::erase_if(records, [&own](const FoundRecord& found) {
    return std::any_of(own.begin(), own.end(),
                       [&found](const fs::path& folder) { return is_below(found.path, folder); });
  });
  return records;
}

void import_all(const RunSelection& selection, const ImportArguments& arguments) {
  record::Store store(store_path(selection));
  const auto only = record::parse_record_kind(arguments.kind);
  record::bring_in_waiting(store.path());
  std::size_t imported = 0, failed = 0, pending = 0;
  for (const std::string& path : arguments.paths) {
    const auto own = bring_in_pending(store, path);
    const auto records = other_records(path, only, own);
    pending += own.size();
    for (const FoundRecord& found : records) {
      try {
        imported += import_one(store, found, arguments) ? 1U : 0U;
      } catch (const DataError& error) {
        if (records.size() == 1 && arguments.paths.size() == 1) throw;
        fmt::print(stderr, "warning: left out: {}\n", error.what());
        ++failed;
      }
    }
  }
  if (pending == 0 || imported > 0) fmt::print("{} runs imported\n", imported);
  if (failed > 0) {
    throw DataError(fmt::format("{} records could not be read", failed),
                    "the warnings above say why; the others are imported");
  }
}

}  // namespace

void add_runs_import(CLI::App& runs, const Selection& selection) {
  auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command =
      runs.add_subcommand("import",
                          "take runs that TensorBoard, CSVLogger or W&B recorded, and what "
                          "runs of this program could not bring into the store");
  add_run_verb(runs, *command, selection, {Options::kStore},
               [=] { import_all(*selection, *arguments); });
  command->add_option("path", arguments->paths, "records, or folders that have some")->required();
  command->add_option("--kind", arguments->kind, "what they are, where their names do not say")
      ->check(CLI::IsMember({"auto", "tensorboard", "csv", "wandb"}));
  command->add_option("--tag", arguments->tags, "for all of them, repeatable")
      ->expected(1)
      ->take_all();
  command->add_option("--group", arguments->group, "for all of them");
  command->add_option("--name", arguments->name, "in place of their own names");
  command->add_flag("--again", arguments->again, "also what was imported before");
}

}  // namespace polyphony::app
