#include <polyphony/loggers/wandb_logger.h>

#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/record/formats/wandb_log.h>

namespace polyphony::loggers {
namespace {

bool is_log_model(const config::Node& node) {
  return node.kind() == config::Node::Kind::kBool ||
         (node.is_string() && node.as_string() == "all");
}

/// Whether W&B's client would find a key: in the environment or in ~/.netrc.
bool has_credentials() {
  const char* key = std::getenv("WANDB_API_KEY");
  if (key != nullptr && *key != '\0') return true;
  const char* home = std::getenv("HOME");
  if (home == nullptr) return false;
  std::ifstream netrc(std::string(home) + "/.netrc");
  for (std::string word; netrc >> word;) {
    if (word == "api.wandb.ai") return true;
  }
  return false;
}

std::string place_text(const record::WandbLog& log, bool offline) {
  const char* why = offline             ? "offline"
                    : has_credentials() ? "this program does not upload, so offline"
                                        : "no credentials of W&B here, so offline";
  return fmt::format("W&B: recorded {}; upload with: wandb sync {}", why, log.directory().string());
}

}  // namespace

bool read(const config::Node& node, WandbTags& tags) {
  if (!node.is_string()) return config::read(node, tags.names);
  tags.names = {node.as_string()};
  return true;
}

std::string show(const WandbTags& tags) { return config::show(tags.names); }

void WandbLoggerOptions::describe(config::Fields& f) {
  f("name", name, "the run's name on W&B; null: run_name");
  f("save_dir", save_dir, "the run goes to SAVE_DIR/wandb/offline-run-DATE_TIME-ID");
  f("dir", dir, "the same as save_dir, which it replaces");
  f("offline", offline, "false: say once how to upload (nothing is ever sent from here)");
  f("id", id, "the run's id on W&B; null: a new one");
  f("version", version, "the same as id");
  f("project", project, "the project on W&B");
  f("entity", entity, "user or team on W&B; null: the account's own");
  f("group", group, "runs that belong together; null: the run's group");
  f("job_type", job_type, "kind of job, e.g. train");
  f("notes", notes, "a description; null: the run's notes");
  f("tags", tags, "labels; none: the run's tags");
  f("log_model", log_model, "upload checkpoints with the run: true, all, or false");
  f.check("log_model", is_log_model(log_model), "true, false or all");
  f("prefix", prefix, "put before every name, with '-'");
  f("resume", resume, "where a local run of the id exists: go on behind it, insist, or refuse");
  f("anonymous", anonymous, "read for compatibility");
}

std::unique_ptr<record::Sink> WandbLogger::open(const record::RunInfo& run) {
  record::WandbOptions options;
  options.save_dir = options_.dir ? *options_.dir : options_.save_dir.value_or(".");
  options.project = options_.project.value_or("");
  options.entity = options_.entity.value_or("");
  options.display_name = options_.name.value_or(run.name);
  options.group = options_.group.value_or(run.group);
  options.job_type = options_.job_type.value_or(run.verb);
  options.notes = options_.notes.value_or(run.notes);
  options.tags = options_.tags.names.empty() ? run.tags : options_.tags.names;
  options.id = options_.id ? *options_.id : options_.version.value_or("");
  options.prefix = options_.prefix;
  options.log_model = options_.log_model.is_string() || options_.log_model.as_bool();
  const auto earlier =
      options.id.empty() ? std::nullopt : record::find_wandb_run(options.save_dir, options.id);
  if (options_.resume == WandbResume::kMust && !earlier) {
    throw ConfigError(
        fmt::format("logger: WandbLogger: resume is must, but {}/wandb has no run '{}'",
                    options.save_dir.string(), options.id),
        "name the id of a run recorded there, or write resume: allow");
  }
  if (options_.resume == WandbResume::kNever && earlier) {
    throw ConfigError(
        fmt::format("logger: WandbLogger: resume is never, but there is a run '{}': {}", options.id,
                    earlier->string()),
        "choose another id, or write resume: allow");
  }
  options.resume = earlier.has_value() && options_.resume.has_value();
  auto log = std::make_unique<record::WandbLog>(std::move(options), run);
  inform("{}", place_text(*log, options_.offline));
  return log;
}

POLYPHONY_REGISTER(train::Logger, WandbLogger, "polyphony.loggers.WandbLogger",
                   "an offline run that `wandb sync` uploads")

}  // namespace polyphony::loggers
