#include <polyphony/pipeline/resume_point.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/assignment.h>
#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/dist/launch.h>
#include <polyphony/pipeline/fit_end.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/train/progress.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

using tensor::Value;

struct Candidate {
  fs::path path;
  fs::file_time_type written;
  bool shared = false;  ///< in a folder that other runs may write to
};

/// What a checkpoint says of how far the fit had come.
struct Reached {
  fs::path path;
  std::int64_t steps = 0;
  std::int64_t batches = 0;
  std::int64_t epochs = 0;  ///< whole ones
  std::int64_t rows = 0;
  Value run = Value::dict();  ///< what the guard compares
  Value callbacks = Value::dict();
};

void add(const fs::path& path, bool shared, std::vector<Candidate>& found) {
  std::error_code error;
  const auto written = fs::last_write_time(path, error);
  if (!error) found.push_back({path, written, shared});
}

void add_folder(const fs::path& folder, bool shared, std::vector<Candidate>& found) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".ckpt") add(entry.path(), shared, found);
    // Those of Transformers' layout.
    if (entry.path().filename().string().starts_with("checkpoint-")) {
      add(entry.path() / "trainer.ckpt", shared, found);
    }
  }
}

std::string text_at(const config::Node& config, const char* path) {
  const config::Node* value = config.select(path);
  return value != nullptr && value->is_string() ? value->as_string() : std::string();
}

std::vector<Candidate> candidates(const fs::path& run, const config::Node& config) {
  std::vector<Candidate> found;
  std::vector<fs::path> folders = {fs::weakly_canonical(run / "checkpoints")};
  add_folder(folders.front(), false, found);
  const auto more = [&](const fs::path& folder) {
    if (folder.empty()) return;
    const fs::path whole = fs::weakly_canonical(folder);
    if (std::find(folders.begin(), folders.end(), whole) != folders.end()) return;
    folders.push_back(whole);
    add_folder(whole, !whole.string().starts_with(fs::weakly_canonical(run).string() + "/"), found);
  };
  if (const config::Node* callbacks = config.find("callbacks");
      callbacks != nullptr && callbacks->is_map()) {
    for (const auto& [name, callback] : callbacks->entries()) more(text_at(callback, "dirpath"));
  }
  if (const std::string root = text_at(config, "trainer.default_root_dir"); !root.empty()) {
    more(fs::path(root) / "checkpoints");
  }
  more(text_at(config, "training_arguments.output_dir"));
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.written > b.written; });
  return found;
}

std::int64_t rows_logged(const Value& exact) {
  const std::vector<Value>& ranks = exact.at("ranks").items();
  const Value* log = ranks.empty() ? nullptr : ranks[0].find("log");
  const Value* loggers = log == nullptr ? nullptr : log->find("loggers");
  if (loggers == nullptr) return 0;
  for (const Value& logger : loggers->items()) {
    const Value* rows = logger.kind() == Value::Kind::kDict ? logger.find("rows") : nullptr;
    if (rows != nullptr) return rows->as_int();
  }
  return 0;
}

/// nullopt for another run's, and for weights alone. @throws what is wrong with the file
std::optional<Reached> read(const Candidate& candidate, const fs::path& run) {
  const Value checkpoint = tensor::load_archive(candidate.path);
  if (checkpoint.kind() != Value::Kind::kDict) return std::nullopt;
  if (checkpoint.find("optimizer_states") == nullptr) return std::nullopt;
  const Value* record = checkpoint.find("polyphony_run");
  const Value* directory = record == nullptr ? nullptr : record->find("directory");
  if (candidate.shared && (directory == nullptr || directory->as_string() != run.string())) {
    return std::nullopt;
  }
  Reached reached;
  reached.path = candidate.path;
  reached.steps = checkpoint.at("global_step").as_int();
  reached.epochs = checkpoint.at("epoch").as_int();
  if (record != nullptr) reached.run.set("polyphony_run", *record);
  if (const Value* states = checkpoint.find("callbacks")) reached.callbacks = *states;
  const Value* exact = checkpoint.find("polyphony");
  if (exact == nullptr) return reached;
  const train::FitProgress progress = train::progress_at(exact->at("position"));
  reached.batches = progress.total_batches;
  const bool whole = progress.point != train::Point::kEpochStart && progress.last_batch;
  reached.epochs = progress.epoch + (whole ? 1 : 0);
  reached.rows = rows_logged(*exact);
  return reached;
}

/// Written where a run stops, of which the newest is not always the furthest.
bool is_special(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with("interrupted") || name.starts_with("exception") ||
         name.starts_with("last");
}

/// Of equals the run's last.ckpt is meant, then the newest last-vN.ckpt.
int preference(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == "last.ckpt" ? 2 : name.starts_with("last-v") ? 1 : 0;
}

Reached furthest(const fs::path& run, const config::Node& config, std::string& warnings) {
  std::optional<Reached> best;
  bool newest_seen = false;
  for (const Candidate& candidate : candidates(run, config)) {
    if (newest_seen && !is_special(candidate.path)) continue;
    try {
      const std::optional<Reached> reached = read(candidate, run);
      if (!reached) continue;
      newest_seen = newest_seen || !is_special(candidate.path);
      const auto order = [](const Reached& r) {
        return std::tuple(r.steps, r.batches, preference(r.path));
      };
      if (!best || order(*reached) > order(*best)) best = reached;
    } catch (const Error& error) {
      warnings += fmt::format("warning: left out: {}\n", error.what());
    }
  }
  if (best) return *best;
  throw DataError(fmt::format("{}: no checkpoint to go on from", run.string()),
                  "begin anew with the command in .hydra/overrides.yaml, or name a checkpoint: "
                  "polyphony resume FILE.ckpt");
}

/// The directory of the run that wrote a checkpoint; empty where it does not say.
std::string writer_of(const Reached& reached) {
  const Value* record = reached.run.find("polyphony_run");
  const Value* directory = record == nullptr ? nullptr : record->find("directory");
  return directory == nullptr ? std::string() : directory->as_string();
}

/// The run's own checkpoints that have more steps than the one that it goes on from. Links, and
/// files that it did not write, are none of them.
std::vector<fs::path> later_than(const Reached& from, const fs::path& run,
                                 const config::Node& config) {
  std::vector<fs::path> later;
  for (const Candidate& candidate : candidates(run, config)) {
    if (!fs::is_regular_file(fs::symlink_status(candidate.path))) continue;
    try {
      const std::optional<Reached> reached = read(candidate, run);
      if (!reached || reached->steps <= from.steps) continue;
      const std::string writer = writer_of(*reached);
      // A run that was moved has the name in its checkpoints that it had.
      if (writer.empty() || (writer != run.string() && writer != writer_of(from))) continue;
      later.push_back(candidate.path);
    } catch (const Error& error) {
      warn("left as it is: {}", error.what());
    }
  }
  return later;
}

/// Renames a file to NAME.before-resume; a name that is taken gets -1, -2 …
void set_aside(const fs::path& path) {
  const std::string name = path.string() + ".before-resume";
  fs::path free = name;
  for (int i = 1; fs::exists(fs::symlink_status(free)); ++i) free = fmt::format("{}-{}", name, i);
  std::error_code error;
  fs::rename(path, free, error);
  if (error) {
    throw DataError(fmt::format("{}: cannot be renamed to {}: {}", path.string(),
                                free.filename().string(), error.message()),
                    "make the directory writable, and give the command again");
  }
}

/// Takes checkpoints back, so that their names are free for what is trained now.
void take_back(const std::vector<fs::path>& later) {
  std::vector<std::string> names;
  for (const fs::path& path : later) {
    const fs::path twin = fs::path(path).replace_extension(".safetensors");
    if (fs::is_regular_file(fs::symlink_status(twin))) set_aside(twin);
    set_aside(path);
    names.push_back(path.filename().string());
  }
  if (names.empty()) return;
  inform("resumed: later checkpoints are now NAME.before-resume: {}", fmt::join(names, ", "));
}

void refuse_finished(const Request& request, const Reached& reached, const config::Node& config,
                     const train::TrainerOptions& options) {
  if (!request.continuation.finished) return;
  const FitEnd end = fit_end({reached.epochs, reached.steps, reached.callbacks}, config, options,
                             request.verb == "unimodal");
  if (request.continuation.changed && !end.limit_reached) return;
  const std::string run = shell_word(request.output_dir.string());
  std::string words;
  for (const std::string& word : end.advice) words += " " + shell_word(word);
  throw UsageError(
      fmt::format("{}: the run is finished: {} epochs, {} steps", run, reached.epochs,
                  reached.steps),
      words.empty()
          ? "to train on, give what is to be otherwise: polyphony resume " + run + " KEY=VALUE"
          : fmt::format("to train on, raise what ended it: polyphony resume {}{}", run, words));
}

/// What the run goes on from. @throws what refuses it, without a change to the run
Reached decide(const Request& request, const config::Node& config,
               const train::TrainerOptions& trainer, const ResumeGuard& guard,
               std::string& warnings) {
  const fs::path& named = request.continuation.checkpoint;
  std::optional<Reached> reached;
  if (!named.empty()) {
    reached = read({named, {}, false}, request.output_dir);
    if (!reached) {
      throw DataError(named.string() + ": weights alone, without the optimizer's state",
                      "name a checkpoint that was saved whole, or the run's directory");
    }
  } else {
    reached = furthest(request.output_dir, config, warnings);
  }
  refuse_finished(request, *reached, config, trainer);
  guard.check_options(reached->run);
  return *std::move(reached);
}

constexpr char kRefused = '!';

/// Until every process has what was said: one that ends at once would take it from the others, who
/// may be gone in turn.
void await_heard(dist::Collective& collective) {
  try {
    collective.barrier();
  } catch (const Error&) {
    return;
  }
}

/// Tells the other processes why rank 0 does not go on. They may be gone before it knows.
void tell(dist::Collective& collective, const Error& error) {
  try {
    collective.broadcast(
        fmt::format("{}{} {}", kRefused, static_cast<int>(error.exit_code()), error.what()));
  } catch (const Error&) {
    return;
  }
  await_heard(collective);
}

}  // namespace

void refuse_before_launch(const Request& request, const config::Node& config,
                          const train::TrainerOptions& trainer, const ResumeGuard& guard,
                          const std::optional<dist::LaunchOptions>& launch) {
  // The first of several hosts may alone have the checkpoints.
  if (!request.continuation.wanted || !launch || launch->num_nodes != 1) return;
  std::string warnings;
  try {
    decide(request, config, trainer, guard, warnings);
  } catch (const Error&) {
    notify(Notice::kNote, warnings);
    throw;
  }
}

std::optional<ResumePoint> resume_point(const Request& request, const config::Node& config,
                                        const train::TrainerOptions& trainer, ResumeGuard& guard,
                                        dist::Collective& collective) {
  if (!request.continuation.wanted) return std::nullopt;
  std::string said;
  std::string warnings;
  if (collective.is_global_zero()) {
    try {
      const Reached reached = decide(request, config, trainer, guard, warnings);
      notify(Notice::kNote, std::exchange(warnings, ""));
      if (!request.continuation.checkpoint.empty()) {
        guard.when_accepted(
            [later = later_than(reached, request.output_dir, config)] { take_back(later); });
      }
      inform("resumed: {} goes on from {}: step {}, whole epochs: {}", request.output_dir.string(),
             reached.path.string(), reached.steps, reached.epochs);
      said = fmt::format("{} {}", reached.rows, reached.path.string());
    } catch (const Error& error) {
      tell(collective, error);
      notify(Notice::kNote, warnings);
      throw;
    }
  }
  said = collective.broadcast(std::move(said));
  if (said.starts_with(kRefused)) {
    await_heard(collective);
    dist::log_to_file(collective.rank(), request.output_dir);  // rank 0 says it to the user
    const std::size_t space = said.find(' ');
    throw Error(static_cast<ExitCode>(std::stoi(said.substr(1, space))), said.substr(space + 1));
  }
  const std::size_t space = said.find(' ');
  return ResumePoint{said.substr(space + 1), std::stoll(said.substr(0, space))};
}

}  // namespace polyphony::pipeline
