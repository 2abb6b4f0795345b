#include "resume.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/config/compose/override.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/job/earlier_run.h>
#include <polyphony/job/settings.h>
#include <polyphony/record/store.h>
#include "experiment.h"
#include "whole_number.h"

namespace polyphony::app {
namespace {

namespace fs = std::filesystem;
using config::Node;

struct ResumeArguments {
  std::string run;
  std::vector<std::string> overrides;
  std::string store;
};

/// An earlier run, as the words name it.
struct EarlierRun {
  fs::path directory;   ///< absolute
  fs::path checkpoint;  ///< where one was named; absolute
};

bool is_run(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / ".hydra" / "config.yaml", error) &&
         fs::is_regular_file(folder / ".hydra" / "hydra.yaml", error);
}

bool trains(std::string_view verb) {
  return verb == "train" || verb == "run" || verb == "unimodal" || verb == "multimodal";
}

bool has_checkpoint(const fs::path& run, std::string_view verb) {
  if (verb == "unimodal" || verb == "multimodal") return true;  // they keep them elsewhere
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", error)) {
    if (entry.path().extension() == ".ckpt") return true;
  }
  return false;
}

/// Opens the store that is named, which serves the run then, too.
record::Store open_store(const ResumeArguments& arguments) {
  const fs::path path =
      arguments.store.empty() ? record::default_store_path() : fs::path(arguments.store);
  record::Store store(path, record::StoreMode::kExisting);
  setenv("POLYPHONY_STORE", fs::absolute(path).lexically_normal().c_str(), 1);
  return store;
}

EarlierRun newest_run(const ResumeArguments& arguments) {
  const record::Store store = open_store(arguments);
  for (const record::Run& run : store.runs()) {
    if (trains(run.verb) && is_run(run.directory) && has_checkpoint(run.directory, run.verb)) {
      return {fs::absolute(run.directory), {}};
    }
  }
  throw UsageError(
      fmt::format("{}: no run that trained has a checkpoint to go on from", store.path().string()),
      "`polyphony runs` lists the runs; name one's directory");
}

EarlierRun run_of_number(const ResumeArguments& arguments, std::int64_t number) {
  const record::Store store = open_store(arguments);
  const std::optional<record::Run> run = store.find(number);
  if (!run) {
    throw UsageError(fmt::format("{}: there is no run {}", store.path().string(), number),
                     "`polyphony runs` lists those there are");
  }
  if (!is_run(run->directory)) {
    throw UsageError(fmt::format("run {}: {}: its directory is gone, or is no run's", number,
                                 run->directory.string()),
                     "name the directory where it is now: polyphony resume DIRECTORY");
  }
  return {fs::absolute(run->directory), {}};
}

EarlierRun run_at(const std::string& word) {
  std::error_code error;
  const fs::path path = fs::absolute(word).lexically_normal();
  if (!fs::exists(path, error)) {
    throw UsageError(fmt::format("{}: no such run", word),
                     "name a run's directory, its number in `polyphony runs`, or last");
  }
  const bool file = fs::is_regular_file(path, error);
  fs::path folder = file || path.has_filename() ? path : path.parent_path();
  // A checkpoint lies somewhere in its run's directory.
  for (fs::path above = folder; !above.empty(); above = above.parent_path()) {
    if (is_run(above)) return {above, file ? path : fs::path()};
    if (above == above.root_path() || (!file && above != folder)) break;
  }
  throw UsageError(
      fmt::format("{}: {}", word,
                  file ? "lies in no run's directory" : "no run's directory: it has no .hydra"),
      file ? "give the first command again with ckpt_path=" + word
           : "a run's directory holds .hydra/config.yaml, which says how it was composed");
}

EarlierRun locate(const ResumeArguments& arguments) {
  if (arguments.run == "last") return newest_run(arguments);
  if (const auto number = read_whole_number(arguments.run); number && *number >= 0) {
    return run_of_number(arguments, *number);
  }
  if (!arguments.store.empty()) open_store(arguments);
  return run_at(arguments.run);
}

/// A text of a run's Hydra node; empty where it has none.
std::string hydra_text(const config::Composition& composition, const char* path) {
  const Node* value = composition.hydra.select(path);
  return value != nullptr && value->is_string() ? value->as_string() : std::string();
}

const ExperimentVerb& verb_of(const config::Composition& composition, const fs::path& run) {
  const ExperimentVerb* verb = find_experiment_verb(hydra_text(composition, "job.name"));
  if (verb == nullptr) {  // hydra.job.name was set
    const std::string name = hydra_text(composition, "job.config_name");
    verb = find_experiment_verb(name == "experiment" ? "train" : name);
  }
  if (verb != nullptr && trains(verb->name)) return *verb;
  throw UsageError(
      fmt::format("{}: {}", run.string(),
                  verb == nullptr ? "it is not known what the run does"
                                  : fmt::format("a run of `polyphony {}` does not train: there is "
                                                "nothing to go on with",
                                                verb->name)),
      "give its command again: .hydra/overrides.yaml has its words");
}

/// The run's row in the store; nullopt where it has none. A run whose processes are just being
/// ended, as after a kill, is given a moment.
std::optional<record::Run> row_of(const fs::path& run) {
  using namespace std::chrono_literals;
  std::error_code error;
  if (!fs::exists(record::default_store_path(), error)) return std::nullopt;
  const record::Store store(record::default_store_path(), record::StoreMode::kExisting);
  std::optional<record::Run> row = store.find_by_directory(run);
  for (int i = 0; i < 30 && row && row->state == record::State::kRunning; ++i) {
    std::this_thread::sleep_for(100ms);
    row = store.find_by_directory(run);
  }
  return row;
}

void refuse_running(const record::Run& row) {
  if (row.state != record::State::kRunning) return;
  throw UsageError(fmt::format("{}: run {} is running, as process {} of {}", row.directory.string(),
                               row.id, row.pid, row.host),
                   "stop it first (Ctrl-C, or kill -TERM), or wait for its end");
}

/// Relative paths of the configuration are those of the directory that the run was started in.
void enter_directory_of(const config::Composition& composition) {
  const std::string folder = hydra_text(composition, "runtime.cwd");
  std::error_code error;
  if (folder.empty() || fs::equivalent(folder, fs::current_path(), error)) return;
  const char* store = std::getenv("POLYPHONY_STORE");
  if (store != nullptr && *store != '\0') {
    setenv("POLYPHONY_STORE", fs::absolute(store).lexically_normal().c_str(), 1);
  }
  fs::current_path(folder, error);
  if (error) {
    fmt::print(stderr,
               "warning: {}, where the run was started, is not there: relative paths are those of "
               "this directory\n",
               folder);
  } else {
    fmt::print("in {}, where the run was started\n", folder);
  }
}

/// What a resumed run keeps for the next time: all but its permissions, which hold for this once.
config::Composition kept(config::Composition composition, const fs::path& folder,
                         const std::vector<std::string>& overrides) {
  const config::Composition before = job::read_composition(folder);
  const Node* allowed = before.config.find("resume");
  if (allowed != nullptr) {
    composition.config.set("resume", *allowed);
  } else {
    composition.config.erase("resume");
  }
  composition.task_overrides = before.task_overrides;
  for (const config::Override& change : config::parse_overrides(overrides)) {
    if (change.key == "resume" || change.key.starts_with("resume.")) continue;
    composition.task_overrides.push_back(change.text);
  }
  if (Node* known = composition.hydra.find("overrides")) {
    known->set("task", job::list_of(composition.task_overrides));
  }
  return composition;
}

int resume(const ResumeArguments& arguments, const std::string& command_line) {
  const EarlierRun run = locate(arguments);
  config::Composition composition = job::compose_earlier(run.directory, arguments.overrides);
  const ExperimentVerb& verb = verb_of(composition, run.directory);
  enter_directory_of(composition);
  pipeline::Continuation continuation;
  continuation.wanted = true;
  continuation.checkpoint = run.checkpoint;
  continuation.changed = !arguments.overrides.empty();
  if (keeps_record()) {
    if (const auto row = row_of(run.directory)) {
      refuse_running(*row);
      continuation.finished = row->state == record::State::kFinished;
    }
    if (continuation.changed) {
      continuation.accepted = [composition, folder = run.directory / ".hydra",
                               overrides = arguments.overrides] {
        job::save_composition(kept(composition, folder, overrides), folder);
      };
    }
  }
  return job::run_in_place(experiment_app(verb, command_line, continuation),
                           std::move(composition));
}

}  // namespace

void add_resume_command(CLI::App& app, const std::string& command_line) {
  CLI::App* command = app.add_subcommand(
      "resume", "go on with an earlier run as it was, in its own directory, from its last state");
  auto arguments = std::make_shared<ResumeArguments>();
  command
      ->add_option("run", arguments->run,
                   "a run's directory, its number in the store, a checkpoint in its directory, or "
                   "last: the newest that trained")
      ->required();
  command->add_option("overrides", arguments->overrides,
                      "KEY=VALUE, +KEY=VALUE, ~KEY: what is to be otherwise from here on");
  command->add_option("--store", arguments->store,
                      "the run store (POLYPHONY_STORE, else logs/polyphony.db)");
  command->callback([arguments, command_line] {
    if (const int code = resume(*arguments, command_line); code != 0) {
      throw CLI::RuntimeError(code);
    }
  });
}

}  // namespace polyphony::app
