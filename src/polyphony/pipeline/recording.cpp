#include <polyphony/pipeline/recording.h>

#include <unistd.h>

#include <exception>

#include <torch/version.h>

#include <polyphony/base/assignment.h>
#include <polyphony/base/error.h>
#include <polyphony/base/last_line.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/signals.h>
#include <polyphony/config/bind/compat.h>
#include <polyphony/config/bind/instantiate.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/dist/launch.h>
#include <polyphony/loggers/guarded.h>
#include <polyphony/loggers/local_store.h>
#include <polyphony/loggers/sink_logger.h>
#include <polyphony/pipeline/hyper_parameters.h>
#include <polyphony/record/host.h>
#include <polyphony/record/metrics_rows.h>
#include <polyphony/record/secrets.h>
#include <polyphony/record/store_journal.h>
#include <polyphony/record/system.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;

config::Node resolved(const Request& request) {
  config::ResolveContext context;
  context.hydra = request.config.hydra;
  const config::Node values = config::resolve(request.config.config, context);
  return config::up_to_date(values, [](const std::string& warning) { warn("{}", warning); });
}

void RecordingOptions::describe(config::Fields& f) {
  f("tags", tags, "labels of the run");
  f("group", group, "runs that belong together, e.g. seeds of one setting");
  f("notes", notes, "a description of the run");
  f("console", console, "record what the run prints");
  f("system_interval", system_interval, "seconds between measurements of processor and memory");
  f.check("system_interval", system_interval > 0, "above 0");
  f("gradient_norm", gradient_norm, "log grad_norm, before clipping, with the step's values");
  f("histogram_every_n_epochs", histogram_every_n_epochs,
    "log histograms of the parameters to loggers that take them; 0: never");
  f.check("histogram_every_n_epochs", histogram_every_n_epochs >= 0, "at least 0");
}

Recording::Recording(const Request& request, const config::Node& config, RunLabel label)
    : directory_(job::RunDirectory::resume(request.output_dir)), label_(std::move(label)) {
  begin(request, config);
}

Recording::Recording(const Request& request, const config::Node& config, RunLabel label,
                     const dist::Collective& collective)
    : directory_(job::RunDirectory::resume(request.output_dir)), label_(std::move(label)) {
  if (collective.is_global_zero()) {
    begin(request, config);
  } else {
    dist::log_to_file(collective.rank(), directory_.path());
  }
}

Recording::~Recording() = default;

record::RunInfo Recording::describe(const Request& request, const config::Node& config) const {
  record::RunInfo info;
  info.name = label_.name;
  info.directory = directory_.path();
  info.host = record::host_name();
  info.pid = record::process_id();
  if (const auto git = record::git_state()) {
    info.git_commit = git->commit;
    info.git_dirty = git->dirty;
    if (git->dirty) info.git_diff = record::git_diff();
    info.git_remote = record::git_remote();
  }
  info.command = record::mask_assignments(request.command_line);
  info.config_yaml = config::to_yaml(record::masked_config(config));
  for (const std::string& text : request.config.task_overrides) {
    info.overrides.push_back(record::mask_assignments(text));
  }
  info.seed = label_.seed;
  info.verb = request.verb;
  info.group = label_.options.group;
  info.notes = label_.options.notes;
  info.tags = label_.options.tags;
  info.environment = record::masked_environment(environ);
  info.system = record::system_facts();
  info.system.emplace_back("version.torch", TORCH_VERSION);
  return info;
}

/// The run's metrics.csv, and the configured loggers that can be opened.
std::vector<std::unique_ptr<record::Sink>> Recording::open_sinks(const record::RunInfo& info) {
  std::vector<std::unique_ptr<record::Sink>> sinks;
  auto csv = std::make_unique<record::RunCsvLog>(directory_.path(), info.uid);
  metrics_csv_ = csv->path();
  sinks.push_back(std::move(csv));
  for (const auto& [name, child] : label_.loggers) {
    if (!child.is_set()) continue;
    auto logger = config::build(child, "logger." + name);
    auto* format = dynamic_cast<loggers::SinkLogger*>(logger.get());
    if (format == nullptr) {
      others_.push_back(std::make_unique<loggers::Guarded>("logger." + name, std::move(logger)));
      continue;
    }
    try {
      sinks.push_back(format->open(info));
    } catch (const ConfigError&) {
      throw;
    } catch (const std::exception& error) {
      warn("logger.{} is left out, the run goes on: {}", name, error.what());
    }
  }
  return sinks;
}

/// A row of its own, or that of the run that goes on, as it was at the checkpoint.
std::unique_ptr<record::StoreLog> Recording::open_row(record::RunInfo info) const {
  record::StoreLogOptions options;
  const fs::path path = record::default_store_path();
  if (label_.rows_before) {
    const std::int64_t values =
        record::keep_metrics_rows(directory_.metrics_csv(), *label_.rows_before);
    try {
      record::Store store(path);
      const auto before = store.find_by_directory(directory_.path());
      if (before && !before->uid.empty()) {
        store.rewind(before->id, values);
        store.resume(before->id, info);
        options.batches = store.batches(before->id);
        info.uid = before->uid;
      }
    } catch (const Error& error) {
      warn("the run gets a row of its own in the run store: {}", error.what());
    }
  }
  return std::make_unique<record::StoreLog>(path, std::move(info), options);
}

void Recording::begin(const Request& request, const config::Node& config) {
  remove_leftovers(directory_.path(), Depth::kTwoBelow);
  const fs::path console = directory_.path() / "console.log";
  end_last_line(console);  // that of a killed run before
  bring_in_earlier();
  std::unique_ptr<record::StoreLog> store = open_row(describe(request, config));
  composed_ = fs::exists(directory_.path() / ".hydra" / "config.yaml");
  const record::RunInfo info = store->info();
  record::ConsoleTail tail(console);
  if (label_.options.console) console_ = std::make_unique<record::ConsoleCapture>(console);
  inform("run {} in {}", store->run() ? std::to_string(*store->run()) : "without a number yet",
         directory_.path().string());
  record::RecorderOptions options;
  options.source_seconds = label_.options.system_interval;
  std::vector<std::unique_ptr<record::Sink>> sinks;
  std::exception_ptr wrong;
  std::string error;
  try {
    sinks = open_sinks(info);
  } catch (const std::exception& failure) {
    wrong = std::current_exception();
    error = failure.what();
  }
  // The store is written first: it has all that the table has.
  store_ = store.get();
  sinks.insert(sinks.begin(), std::move(store));
  recorder_.emplace(std::move(sinks), options);
  if (wrong) {
    finish(record::State::kFailed, error);
    std::rethrow_exception(wrong);
  }
  recorder_->add_source([sampler = std::make_shared<record::SystemSampler>()] {
    return std::optional<record::Action>(
        [metrics = sampler->sample()](record::Sink& sink) { sink.log_system(metrics); });
  });
  recorder_->add_source(
      [tail = std::make_shared<record::ConsoleTail>(tail)]() -> std::optional<record::Action> {
        auto lines = tail->next();
        if (lines.empty()) return std::nullopt;
        return [lines = std::move(lines)](record::Sink& sink) { sink.log_console(lines); };
      });
  recorder_->post([values = logged_hyper_parameters(record::masked_config(config))](
                      record::Sink& sink) { sink.log_hyper_parameters(values); });
}

/// What an earlier run in this directory could not bring into the store.
void Recording::bring_in_earlier() const {
  const auto journals = record::find_journals_in(directory_.path());
  if (journals.empty()) return;
  record::bring_in_all(record::default_store_path(), journals);
}

void Recording::finish(record::State state, const std::string& error) {
  console_.reset();  // its last lines are in the file then, and the recorder reads them
  if (!recorder_) return;
  const bool ended = recorder_->finish(state, error);
  if (!ended || store_ == nullptr) return;  // the recorder has told that the end is missing
  if (store_->recorded()) {
    if (state == record::State::kFinished) {
      inform("recorded: run {} in {}", *store_->run(), record::default_store_path().string());
    }
    return;
  }
  if (store_->kept().empty()) return;  // told by the recorder: neither place could be written
  warn(
      "not recorded yet: {}\n  what the run store lacks is kept in {}\n  bring it in with: "
      "polyphony runs --store {} import {}",
      store_->reason(), store_->kept().string(), record::default_store_path().string(),
      directory_.path().string());
}

void Recording::during(const std::function<void()>& work) {
  try {
    work();
  } catch (const Interrupted& stop) {
    finish(record::State::kInterrupted, stop.what());
    if (!composed_ || stop.checkpoint().filename() != "interrupted.ckpt") throw;
    throw Interrupted::with_remedy(stop.signal_number(), stop.checkpoint(),
                                   "to go on exactly where it stopped: polyphony resume " +
                                       shell_word(directory_.path().string()));
  } catch (const std::exception& error) {
    finish(record::State::kFailed, error.what());
    throw;
  }
  finish(record::State::kFinished);
}

void Recording::alert(const std::string& title, const std::string& text, const std::string& level) {
  if (!recorder_) return;
  recorder_->post([alert = record::Alert{title, text, level, record::now()}](record::Sink& sink) {
    sink.log_alert(alert);
  });
}

std::vector<std::unique_ptr<train::Logger>> Recording::take_loggers() {
  std::vector<std::unique_ptr<train::Logger>> all;
  if (!recorder_) return all;
  all.push_back(std::make_unique<loggers::LocalStore>(*recorder_, metrics_csv_));
  for (auto& logger : others_) all.push_back(std::move(logger));
  others_.clear();
  return all;
}

}  // namespace polyphony::pipeline
