#include "runs_import.h"

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/record/import_runs.h>
#include "runs_selection.h"

namespace polyphony::app {
namespace {

using record::FoundRecord;
using record::ImportedRun;

struct ImportArguments {
  std::shared_ptr<RunSelection> selection = std::make_shared<RunSelection>();
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
             found.path.string(), run.truncated ? " (it breaks off; all before is kept)" : "");
  return true;
}

void import_all(const ImportArguments& arguments) {
  const std::string& named = arguments.selection->store;
  record::Store store(named.empty() ? record::default_store_path() : std::filesystem::path(named));
  const auto only = record::parse_record_kind(arguments.kind);
  std::size_t imported = 0, failed = 0;
  for (const std::string& path : arguments.paths) {
    const auto records = record::find_records(path, only);
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
  fmt::print("{} runs imported\n", imported);
  if (failed > 0) {
    throw DataError(fmt::format("{} records could not be read", failed),
                    "the warnings above say why; the others are imported");
  }
}

}  // namespace

void add_runs_import(CLI::App& runs) {
  auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command =
      runs.add_subcommand("import", "take runs that TensorBoard, CSVLogger or W&B recorded");
  add_store_option(*command, arguments->selection);
  command->add_option("path", arguments->paths, "records, or folders that have some")->required();
  command->add_option("--kind", arguments->kind, "what they are, where their names do not say")
      ->check(CLI::IsMember({"auto", "tensorboard", "csv", "wandb"}));
  command->add_option("--tag", arguments->tags, "for all of them, repeatable")
      ->expected(1)
      ->take_all();
  command->add_option("--group", arguments->group, "for all of them");
  command->add_option("--name", arguments->name, "in place of their own names");
  command->add_flag("--again", arguments->again, "also what was imported before");
  command->callback([arguments] { import_all(*arguments); });
}

}  // namespace polyphony::app
