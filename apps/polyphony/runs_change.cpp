#include "runs_change.h"

#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include "runs_selection.h"

namespace polyphony::app {
namespace {

namespace fs = std::filesystem;

struct ChangeArguments {
  std::shared_ptr<RunSelection> selection = std::make_shared<RunSelection>();
  std::vector<std::int64_t> ids;
  std::vector<std::string> add, remove;
  bool files = false;
  bool yes = false;
};

record::Store open_store(const ChangeArguments& arguments) {
  const std::string& named = arguments.selection->store;
  return record::Store(named.empty() ? record::default_store_path() : fs::path(named),
                       record::StoreMode::kExisting);
}

void check_tag(const std::string& tag) {
  if (!tag.empty() && tag.find_first_of(",\n\r\t") == std::string::npos) return;
  throw UsageError(fmt::format("`{}` is no tag", tag), "a tag has no comma and no line break");
}

void tag(const ChangeArguments& arguments) {
  if (arguments.add.empty() && arguments.remove.empty()) {
    throw UsageError("runs tag: neither --add nor --remove", "polyphony runs tag 3 4 --add best");
  }
  for (const std::string& text : arguments.add) check_tag(text);
  const record::RunIndex index = open_index(*arguments.selection);
  const record::RunList runs = runs_by_id(index, arguments.ids);
  record::Store store = open_store(arguments);
  for (const record::IndexedRun* entry : runs) {
    for (const std::string& text : arguments.remove) store.remove_tag(entry->run.id, text);
    for (const std::string& text : arguments.add) store.add_tag(entry->run.id, text);
    const auto now = store.find(entry->run.id);
    fmt::print(
        "{} {}: {}\n", entry->run.id, entry->run.name,
        now && !now->tags.empty() ? fmt::format("{}", fmt::join(now->tags, ", ")) : "no tags");
  }
}

/// A directory that may be removed whole: one that a run has made.
void check_directory(const record::Run& run) {
  if (run.directory.empty() || !fs::exists(run.directory)) return;
  if (fs::is_directory(run.directory / ".hydra")) return;
  throw UsageError(
      fmt::format("{}: not removed: it holds no .hydra, so it is no run's directory of its own",
                  run.directory.string()),
      "delete without --files and remove the directory by hand");
}

bool confirmed(const ChangeArguments& arguments, std::size_t runs) {
  if (arguments.yes) return true;
  if (isatty(STDIN_FILENO) == 0) {
    throw UsageError("runs delete: nobody to ask", "say --yes");
  }
  fmt::print("delete {} runs{}? [y/N] ", runs, arguments.files ? " and their files" : "");
  std::cout.flush();
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

void remove(const ChangeArguments& arguments) {
  const record::RunIndex index = open_index(*arguments.selection);
  const record::RunList runs = runs_by_id(index, arguments.ids);
  for (const record::IndexedRun* entry : runs) {
    if (entry->run.state == record::State::kRunning) {
      throw UsageError(fmt::format("run {} is running on {} (pid {})", entry->run.id,
                                   entry->run.host, entry->run.pid),
                       "end it first");
    }
    if (arguments.files) check_directory(entry->run);
    fmt::print("{} {}  {}\n", entry->run.id, entry->run.name, entry->run.directory.string());
  }
  if (!confirmed(arguments, runs.size())) return;
  record::Store store = open_store(arguments);
  for (const record::IndexedRun* entry : runs) {
    store.remove(entry->run.id);
    if (!arguments.files) continue;
    std::error_code error;
    fs::remove_all(entry->run.directory, error);
    if (error) {
      throw IoError(fmt::format("{}: {}", entry->run.directory.string(), error.message()),
                    "the run is out of the store; remove its directory by hand");
    }
  }
  fmt::print("{} runs deleted\n", runs.size());
}

}  // namespace

void add_runs_changes(CLI::App& runs) {
  auto arguments = std::make_shared<ChangeArguments>();
  CLI::App* tagging = runs.add_subcommand("tag", "add tags to runs, or remove them");
  CLI::App* deleting = runs.add_subcommand("delete", "forget runs; their files stay");
  for (CLI::App* command : {tagging, deleting}) {
    add_store_option(*command, arguments->selection);
    command->add_option("id", arguments->ids, "runs")->required();
  }
  tagging->add_option("--add", arguments->add, "a tag, repeatable")->expected(1)->take_all();
  tagging->add_option("--remove", arguments->remove, "a tag, repeatable")->expected(1)->take_all();
  deleting->add_flag("--files", arguments->files, "remove the runs' directories too");
  deleting->add_flag("-y,--yes", arguments->yes, "do not ask");
  tagging->callback([arguments] { tag(*arguments); });
  deleting->callback([arguments] { remove(*arguments); });
}

}  // namespace polyphony::app
