#include "runs_change.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include "whole_number.h"

namespace polyphony::app {
namespace {

namespace fs = std::filesystem;

struct ChangeArguments {
  std::vector<std::int64_t> ids;
  std::vector<std::string> add, remove;
  bool files = false;
  bool yes = false;
};

record::Store open_store(const RunSelection& selection) {
  return record::Store(store_path(selection), record::StoreMode::kExisting);
}

void check_tag(const std::string& tag) {
  if (!tag.empty() && tag.find_first_of(",\n\r\t") == std::string::npos) return;
  throw UsageError(fmt::format("`{}` is no tag", tag), "a tag has no comma and no line break");
}

void tag(const RunSelection& selection, const ChangeArguments& arguments) {
  if (arguments.add.empty() && arguments.remove.empty()) {
    throw UsageError("runs tag: neither --add nor --remove", "polyphony runs tag 3 4 --add best");
  }
  for (const std::string& text : arguments.add) check_tag(text);
  const record::RunIndex index = open_index(selection);
  const record::RunList runs = chosen_runs(index, selection, arguments.ids, "tag");
  if (runs.empty()) fmt::print("no run matches: nothing is tagged\n");
  record::Store store = open_store(selection);
  for (const record::IndexedRun* entry : runs) {
    for (const std::string& text : arguments.remove) store.remove_tag(entry->run.id, text);
    for (const std::string& text : arguments.add) store.add_tag(entry->run.id, text);
    const auto now = store.find(entry->run.id);
    fmt::print(
        "{} {}: {}\n", entry->run.id, entry->run.name,
        now && !now->tags.empty() ? fmt::format("{}", fmt::join(now->tags, ", ")) : "no tags");
  }
}

fs::path whole_path(const fs::path& path) { return fs::absolute(path).lexically_normal(); }

bool is_in(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

/// A directory that may be removed whole: one that a run has made, and that no run which stays
/// shares, as one resumed in place does.
void check_directory(const record::RunIndex& index, const record::Run& run,
                     const record::RunList& removed) {
  if (run.directory.empty() || !fs::exists(run.directory)) return;
  if (run.directory.is_relative()) {
    throw UsageError(fmt::format("{}: not removed: it is recorded without the directory that it "
                                 "lies in",
                                 run.directory.string()),
                     "delete without --files and remove the directory by hand");
  }
  if (!fs::is_directory(run.directory / ".hydra")) {
    throw UsageError(
        fmt::format("{}: not removed: it holds no .hydra, so it is no run's directory of its own",
                    run.directory.string()),
        "delete without --files and remove the directory by hand");
  }
  for (const auto& [id, other] : index.runs()) {
    const bool stays = std::none_of(removed.begin(), removed.end(),
                                    [id = id](const auto* entry) { return entry->run.id == id; });
    if (!stays || other.run.directory.empty()) continue;
    if (!is_in(whole_path(other.run.directory), whole_path(run.directory))) continue;
    throw UsageError(fmt::format("{}: not removed: run {} {} has its files there too",
                                 run.directory.string(), id, other.run.name),
                     "delete both, or delete without --files");
  }
}

/// "12 files, 3.4 MB".
std::string size_text(const fs::path& directory) {
  std::size_t files = 0, bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(directory, error)) {
    if (!entry.is_regular_file(error)) continue;
    ++files;
    const auto size = entry.file_size(error);
    if (!error) bytes += size;
  }
  return fmt::format("{} files, {:.1f} MB", files, static_cast<double>(bytes) / 1e6);
}

void tell_what_goes(const record::RunIndex& index, const record::RunList& runs, bool files) {
  fmt::print("to be deleted from {}:\n", whole_path(index.store().path()).string());
  for (const record::IndexedRun* entry : runs) {
    const record::Run& run = entry->run;
    std::int64_t values = 0;
    for (const auto& metric : index.store().summaries(run.id)) values += metric.count;
    fmt::print("  run {} {}  {}  {} values, {} artifacts recorded\n", run.id, run.name,
               to_string(run.state), values, index.store().artifacts(run.id).size());
    if (run.directory.empty()) continue;
    const bool there = fs::exists(run.directory);
    fmt::print("    {} {}\n", run.directory.string(),
               !there  ? "is gone already"
               : files ? fmt::format("with all that is in it: {}", size_text(run.directory))
                       : "stays");
  }
}

bool confirmed(const ChangeArguments& arguments, std::size_t runs) {
  if (arguments.yes) return true;
  std::fflush(stdout);
  if (isatty(STDIN_FILENO) == 0) {
    throw UsageError("runs delete: nothing is deleted: there is nobody to ask",
                     "say --yes to delete what is listed above");
  }
  fmt::print("delete {} runs{}? [y/N] ", runs, arguments.files ? " and their files" : "");
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

void remove(const RunSelection& selection, const ChangeArguments& arguments) {
  const record::RunIndex index = open_index(selection);
  const record::RunList runs = chosen_runs(index, selection, arguments.ids, "delete");
  if (runs.empty()) {
    fmt::print("no run matches: nothing is deleted\n");
    return;
  }
  for (const record::IndexedRun* entry : runs) {
    if (entry->run.state == record::State::kRunning) {
      throw UsageError(fmt::format("run {} is running on {} (pid {}): nothing is deleted",
                                   entry->run.id, entry->run.host, entry->run.pid),
                       "end it first, or choose others");
    }
    if (arguments.files) check_directory(index, entry->run, runs);
  }
  tell_what_goes(index, runs, arguments.files);
  if (!confirmed(arguments, runs.size())) {
    fmt::print("nothing is deleted\n");
    return;
  }
  record::Store store = open_store(selection);
  for (const record::IndexedRun* entry : runs) {
    store.remove(entry->run.id);
    if (!arguments.files || entry->run.directory.empty()) continue;
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

void add_runs_changes(CLI::App& runs, const Selection& selection) {
  auto arguments = std::make_shared<ChangeArguments>();
  CLI::App* tagging = runs.add_subcommand("tag", "add tags to runs, or remove them");
  CLI::App* deleting = runs.add_subcommand("delete", "forget runs; their files stay");
  add_run_verb(runs, *tagging, selection, {Options::kStore, Options::kChoice},
               [=] { tag(*selection, *arguments); });
  add_run_verb(runs, *deleting, selection, {Options::kStore, Options::kChoice},
               [=] { remove(*selection, *arguments); });
  for (CLI::App* command : {tagging, deleting}) {
    command->add_option("id", arguments->ids, "runs")->transform(whole_number(0));
  }
  tagging->add_option("--add", arguments->add, "a tag, repeatable")->expected(1)->take_all();
  tagging->add_option("--remove", arguments->remove, "a tag, repeatable")->expected(1)->take_all();
  deleting->add_flag("--files", arguments->files, "remove the runs' directories too");
  deleting->add_flag("-y,--yes", arguments->yes, "do not ask");
}

}  // namespace polyphony::app
