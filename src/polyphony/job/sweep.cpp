#include <polyphony/job/sweep.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/signals.h>
#include <polyphony/config/compose/sweep.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/job/processes.h>
#include <polyphony/job/report.h>
#include <polyphony/job/run.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using config::Node;

constexpr const char* kLogger = "hydra";

/// Hydra's plugins are Python classes; the basic ones are what there is.
void check_plugin(const Settings& settings, const std::string& kind, const std::string& basic) {
  const std::string target = settings.text(kind + "._target_");
  if (target.empty() || target.ends_with(basic)) return;
  throw ConfigError(fmt::format("hydra.{}: '{}' is not there", kind, target),
                    fmt::format("use hydra/{0}=basic{1}", kind,
                                kind == "launcher" ? " with hydra.launcher.n_jobs=N" : ""));
}

std::size_t jobs_at_once(const Settings& settings) {
  const Node node = settings.get("launcher.n_jobs");
  if (node.is_null()) return 1;
  const std::int64_t count = node.kind() == Node::Kind::kInt ? node.as_int() : 0;
  if (count == 0 || count < -1) {
    throw ConfigError("hydra.launcher.n_jobs: the number of jobs at once is 1 or more",
                      "or -1 for as many as there are processors");
  }
  if (count == -1) return std::max(1u, std::thread::hardware_concurrency());
  return static_cast<std::size_t>(count);
}

/// The jobs of a sweep and how each ended.
class Sweep {
 public:
  Sweep(const App& app, const config::Composition& master, Log& log)
      : app_(app),
        log_(log),
        master_(master),
        settings_(master),
        at_once_(jobs_at_once(settings_)) {
    check_plugin(settings_, "launcher", "BasicLauncher");
    check_plugin(settings_, "sweeper", "BasicSweeper");
    // From the first job to the last, so that none is missed between two batches of jobs.
    if (!in_process()) signals_.emplace();
  }

  void open_directory() const {
    const fs::path folder = fs::absolute(settings_.text("sweep.dir")).lexically_normal();
    make_directory(folder);
    write_file(folder / "multirun.yaml", config::to_yaml(settings_.root()));
  }

  void run(std::vector<config::Composition> jobs) {
    if (stopped_ != 0) {
      for (config::Composition& job : jobs) add(std::move(job));
      return;
    }
    const std::size_t first = entries_.size();
    for (config::Composition& job : jobs) add(std::move(job));
    log_.info(kLogger, fmt::format("Launching {} jobs locally{}", jobs.size(),
                                   at_once_ > 1 ? fmt::format(", {} at once", at_once_) : ""));
    if (in_process()) {
      run_here(first);
    } else {
      run_in_processes(first);
    }
  }

  /// Prints what did not go well. @return the exit code
  int finish() const {
    std::size_t failed = 0, missed = 0;
    for (const Entry& entry : entries_) {
      failed += entry.outcome.state == Outcome::State::kFailed;
      missed += entry.outcome.state == Outcome::State::kNotRun;
    }
    if (failed + missed == 0) return 0;
    note("\n{} of {} jobs failed{}:", failed, entries_.size(),
         missed > 0 ? fmt::format(", {} not run", missed) : "");
    int code = stopped_ == 0 ? 0 : 128 + stopped_;
    for (const Entry& entry : entries_) {
      if (entry.outcome.state == Outcome::State::kDone) continue;
      const bool not_run = entry.outcome.state == Outcome::State::kNotRun;
      const std::string& text = entry.outcome.failure.text;
      note("  #{} : {}: {}", entry.number, entry.title,
           not_run ? "not run" : text.substr(0, text.find('\n')));
      if (!entry.output.empty() && !not_run) {
        note("      see {}", entry.output.string());
      }
      if (code == 0 && !not_run) code = entry.outcome.failure.exit_code;
    }
    return code;
  }

 private:
  struct Entry {
    std::size_t number;
    std::string title;
    config::Composition composition;
    fs::path output;  ///< where its words go; "" for ours
    Outcome outcome;
  };

  /// Whether jobs run in this very process, one after the other.
  bool in_process() const { return app_.isolation == Isolation::kInProcess && at_once_ == 1; }

  void add(config::Composition composition) {
    const std::size_t number = entries_.size();
    Node& job = *composition.hydra.find("job");
    job.set("id", std::to_string(number));
    job.set("num", static_cast<std::int64_t>(number));
    const std::string text = fmt::format("{}", fmt::join(composition.task_overrides, " "));
    entries_.push_back({number, text, std::move(composition), {}, {}});
  }

  void announce(const Entry& entry) {
    log_.info(kLogger, fmt::format("\t#{} : {}", entry.number, entry.title));
  }

  /// Runs one job; its failure is printed where it happens, too.
  Outcome work(const Entry& entry, const JobRun& run, Log& log) const {
    try {
      run.run(log);
      return {Outcome::State::kDone, {}};
    } catch (const std::exception& error) {
      const Failure failure = failure_of(error);
      print_failure(failure, &entry.composition.task_overrides);
      return {Outcome::State::kFailed, failure};
    }
  }

  void run_here(std::size_t first) {
    for (std::size_t i = first; i < entries_.size() && stopped_ == 0; ++i) {
      announce(entries_[i]);
      try {
        const JobRun run(app_, entries_[i].composition, JobRun::Place::kSweep);
        entries_[i].outcome = work(entries_[i], run, log_);
      } catch (const std::exception& error) {
        entries_[i].outcome = {Outcome::State::kFailed, failure_of(error)};
      }
      stopped_ = stop_signal_of(entries_[i].outcome.failure.exit_code);
      configure_log(log_, master_, "hydra_logging");
    }
  }

  void run_in_processes(std::size_t first) {
    Processes processes;
    std::size_t next = first;
    while (next < entries_.size() || processes.running() > 0) {
      if (stopped_ == 0 && StopSignals::requested() != 0) {
        stopped_ = StopSignals::requested();
        processes.signal_all(stopped_);
      }
      const bool more = next < entries_.size() && stopped_ == 0;
      if (more && processes.running() < at_once_) {
        launch(processes, entries_[next]);
        ++next;
      } else if (processes.running() > 0) {
        if (const auto ended = processes.wait()) settle(ended->first, ended->second);
      } else {
        break;
      }
    }
  }

  void launch(Processes& processes, Entry& entry) {
    announce(entry);
    try {
      const JobRun run(app_, entry.composition, JobRun::Place::kSweep);
      if (at_once_ > 1) entry.output = run.log_file().replace_extension(".out");
      processes.start(entry.number, entry.output, [&] {
        Log log;
        return work(entry, run, log);
      });
    } catch (const std::exception& error) {
      settle(entry.number, {Outcome::State::kFailed, failure_of(error)});
    }
  }

  void settle(std::size_t number, const Outcome& outcome) {
    Entry& entry = entries_[number];
    entry.outcome = outcome;
    if (at_once_ == 1) return;
    const bool done = outcome.state == Outcome::State::kDone;
    log_.info(kLogger, fmt::format("\t#{} : {}", number, done ? "done" : "failed"));
  }

  const App& app_;
  Log& log_;
  const config::Composition& master_;
  Settings settings_;
  std::size_t at_once_;
  std::optional<StopSignals> signals_;
  std::vector<Entry> entries_;
  int stopped_ = 0;  ///< the signal that stopped the sweep; 0 for none
};

}  // namespace

int run_sweep(const App& app, Source& source, const std::vector<std::string>& overrides, Log& log) {
  const config::ComposeRequest request = source.request(overrides);
  const config::SweepPlan plan = config::expand_sweep(request, source.repository());
  configure_log(log, plan.master, "hydra_logging");
  Sweep sweep(app, plan.master, log);
  sweep.open_directory();
  std::size_t next = 0;
  for (const std::size_t count : plan.batches) {
    // All of a batch are composed before one of them runs: mistakes show early.
    std::vector<config::Composition> jobs;
    for (std::size_t i = 0; i < count; ++i, ++next) {
      jobs.push_back(source.compose(config::job_request(request, plan, next)));
    }
    sweep.run(std::move(jobs));
  }
  return sweep.finish();
}

}  // namespace polyphony::job
