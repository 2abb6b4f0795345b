#include <polyphony/pipeline/pretrained_checkpoints.h>

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/train/trainer.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
using train::IntervalStrategy;
using Json = nlohmann::ordered_json;
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kUnfinished = ".unfinished";

/// The folder of a checkpoint while it is written: locked, so that others see that it is.
class UnfinishedFolder {
 public:
  /// Begins anew where a killed process left one.
  explicit UnfinishedFolder(const fs::path& path) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
    make_directory(path);
    lock_.emplace(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (lock_->get() >= 0) lock_temporary(lock_->get());
  }

 private:
  std::optional<Descriptor> lock_;
};

/// Renames the folder, whole in its place at every moment; the old one of that name goes.
void put_in_place(const fs::path& unfinished, const fs::path& folder) {
  std::error_code ignored;
  const bool exchanged =
      ::renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0;
  fs::remove_all(exchanged ? unfinished : folder, ignored);
  if (exchanged) return;
  std::error_code error;  // there is no old one, or the file system cannot exchange
  fs::rename(unfinished, folder, error);
  if (!error) return;
  throw IoError(
      fmt::format("{}: cannot put the checkpoint in place: {}", folder.string(), error.message()),
      "check that the folder can be written to");
}

/// Removes those that killed processes left.
void remove_unfinished(const fs::path& output_dir) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output_dir, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kUnfinished)) continue;
    const Descriptor folder(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0 || ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) continue;
    std::error_code ignored;
    fs::remove_all(entry.path(), ignored);
  }
}

/// The step of "checkpoint-STEP"; nullopt for another name.
std::optional<std::int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(begin, end, step);
  return error == std::errc() && at == end ? std::optional(step) : std::nullopt;
}

/// Epochs done, with the part of the running one, as Transformers counts.
double epochs_done(const train::Trainer& trainer) {
  const auto batches =
      static_cast<double>(std::max<std::int64_t>(1, trainer.num_training_batches()));
  return static_cast<double>(trainer.current_epoch()) +
         static_cast<double>(trainer.batch_in_epoch()) / batches;
}

}  // namespace

PretrainedCheckpoints::PretrainedCheckpoints(const train::TrainingArguments& arguments,
                                             std::int64_t total_steps, SaveModel save_model)
    : arguments_(arguments), total_steps_(total_steps), save_model_(std::move(save_model)) {}

void PretrainedCheckpoints::setup(train::Trainer& trainer) {
  if (trainer.is_global_zero()) remove_unfinished(arguments_.options().output_dir);
}

void PretrainedCheckpoints::log(train::Trainer& trainer, train::MetricValues values) {
  Json line = {{"epoch", epochs_done(trainer)}};
  for (const auto& [name, value] : values) line[name] = value;
  line["step"] = trainer.global_step();
  log_.push_back(line.dump());
}

void PretrainedCheckpoints::on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t) {
  losses_ += loss;
  ++counted_;
  const auto& options = arguments_.options();
  const std::int64_t step = trainer.global_step();
  const bool due = options.logging_strategy == IntervalStrategy::kSteps && step != logged_step_ &&
                   step % options.logging_steps == 0;
  if (due) {
    log(trainer, {{"learning_rate", trainer.optimizer().groups()[0].lr},
                  {"loss", losses_ / static_cast<double>(counted_)}});
    losses_ = 0;
    counted_ = 0;
    logged_step_ = step;
  }
  // Where an evaluation follows, it comes first: what is saved is what was judged.
  const bool evaluates =
      arguments_.evaluation() == IntervalStrategy::kSteps && step % arguments_.eval_steps() == 0;
  if (options.save_strategy == IntervalStrategy::kSteps && !evaluates && step > 0 &&
      step % options.save_steps == 0) {
    save(trainer);
  }
}

void PretrainedCheckpoints::on_validation_end(train::Trainer& trainer) {
  if (!trainer.fitting() || trainer.sanity_checking()) return;
  train::MetricValues values;
  for (const auto& [name, value] : trainer.callback_metrics()) {
    if (name.starts_with("eval_")) values.emplace_back(name, value);
  }
  log(trainer, std::move(values));
  const auto& options = arguments_.options();
  if (options.save_strategy == IntervalStrategy::kSteps &&
      trainer.global_step() % options.save_steps == 0) {
    save(trainer);
  }
}

void PretrainedCheckpoints::on_train_epoch_end(train::Trainer& trainer) {
  if (arguments_.options().logging_strategy == IntervalStrategy::kEpoch && counted_ > 0) {
    log(trainer, {{"learning_rate", trainer.optimizer().groups()[0].lr},
                  {"loss", losses_ / static_cast<double>(counted_)}});
    losses_ = 0;
    counted_ = 0;
  }
  if (arguments_.options().save_strategy == IntervalStrategy::kEpoch) save(trainer);
}

void PretrainedCheckpoints::compare(train::Trainer& trainer, const std::string& folder) {
  if (arguments_.evaluation() == IntervalStrategy::kNo) return;
  const std::string name = arguments_.best_metric();
  const train::MetricValues& logged = trainer.callback_metrics();
  const double* value = train::find_value(logged, name);
  if (value == nullptr) {
    if (!arguments_.options().load_best_model_at_end) return;
    std::vector<std::string> names;
    for (const auto& [key, ignored] : logged) {
      if (key.starts_with("eval_")) names.push_back(key);
    }
    throw ConfigError(
        fmt::format("training_arguments.metric_for_best_model: '{}' was never logged", name),
        fmt::format("logged: {}", fmt::join(names, ", ")));
  }
  const bool better = !best_metric_ || (arguments_.greater_is_better() ? *value > *best_metric_
                                                                       : *value < *best_metric_);
  if (!better) return;
  best_metric_ = *value;
  best_ = folder;
}

void PretrainedCheckpoints::save(train::Trainer& trainer) {
  const std::int64_t step = trainer.global_step();
  if (step == saved_step_) return;
  saved_step_ = step;
  const fs::path folder =
      fs::path(arguments_.options().output_dir) / fmt::format("{}{}", kPrefix, step);
  // An epoch that max_steps cut short was not evaluated.
  const bool judged = arguments_.evaluation() != IntervalStrategy::kEpoch ||
                      trainer.batch_in_epoch() == trainer.num_training_batches();
  if (judged) compare(trainer, folder.string());
  std::erase(folders_, folder.string());
  folders_.push_back(folder.string());
  rotate();
  // Written beside its place and moved there whole.
  const fs::path unfinished = folder.string() + std::string(kUnfinished);
  std::error_code ignored;
  std::optional<UnfinishedFolder> writing;
  if (trainer.is_global_zero()) {
    writing.emplace(unfinished);
    save_model_(unfinished);
    write_file(unfinished / "trainer_state.json", trainer_state(trainer));
  }
  trainer.strategy().barrier("checkpoint folder");
  trainer.save_checkpoint(unfinished / "trainer.ckpt");
  trainer.strategy().barrier("checkpoint written");
  if (trainer.is_global_zero()) put_in_place(unfinished, folder);
}

void PretrainedCheckpoints::rotate() {
  const auto& limit = arguments_.options().save_total_limit;
  if (!limit) return;
  // The newest and the best are spared, as in Transformers: a limit of 1 keeps both.
  std::vector<std::string> others = folders_;
  const std::string newest = others.back();
  std::erase_if(others, [&](const std::string& name) { return name == newest || name == best_; });
  const std::int64_t spared = best_.empty() || best_ == newest ? 1 : 2;
  const std::int64_t room = std::max<std::int64_t>(0, *limit - spared);
  while (std::ssize(others) > room) {
    std::error_code ignored;
    fs::remove_all(others.front(), ignored);
    std::erase(folders_, others.front());
    others.erase(others.begin());
  }
}

std::string PretrainedCheckpoints::trainer_state(train::Trainer& trainer) const {
  Json state;
  state["best_metric"] = best_metric_ ? Json(*best_metric_) : Json();
  state["best_model_checkpoint"] = best_.empty() ? Json() : Json(best_);
  state["epoch"] = epochs_done(trainer);
  state["global_step"] = trainer.global_step();
  state["is_hyper_param_search"] = false;
  state["is_local_process_zero"] = true;
  state["is_world_process_zero"] = true;
  state["log_history"] = Json::array();
  for (const std::string& line : log_) state["log_history"].push_back(Json::parse(line));
  state["max_steps"] = total_steps_;
  state["num_train_epochs"] = trainer.max_epochs();
  state["total_flos"] = 0;
  state["trial_name"] = nullptr;
  state["trial_params"] = nullptr;
  return state.dump(2) + "\n";
}

tensor::Value PretrainedCheckpoints::state_dict() const {
  using tensor::Value;
  const auto texts = [](const std::vector<std::string>& lines) {
    Value list = Value::list();
    for (const std::string& line : lines) list.append(Value(line));
    return list;
  };
  Value state = Value::dict();
  state.set("log", texts(log_));
  state.set("folders", texts(folders_));
  state.set("best", Value(best_));
  if (best_metric_) state.set("best_metric", Value(*best_metric_));
  state.set("losses", Value(losses_));
  state.set("counted", Value(counted_));
  state.set("logged_step", Value(logged_step_));
  state.set("saved_step", Value(saved_step_));
  return state;
}

void PretrainedCheckpoints::load_state_dict(const tensor::Value& state) {
  const auto texts = [&](const char* key) {
    std::vector<std::string> lines;
    for (const tensor::Value& line : state.at(key).items()) lines.push_back(line.as_string());
    return lines;
  };
  log_ = texts("log");
  folders_ = texts("folders");
  best_ = state.at("best").as_string();
  if (const tensor::Value* metric = state.find("best_metric")) best_metric_ = metric->as_float();
  losses_ = state.at("losses").as_float();
  counted_ = state.at("counted").as_int();
  logged_step_ = state.at("logged_step").as_int();
  saved_step_ = state.at("saved_step").as_int();
}

std::optional<fs::path> PretrainedCheckpoints::newest(const fs::path& output_dir) {
  std::optional<fs::path> best;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output_dir, error)) {
    const auto step = step_of(entry.path());
    if (step && (!best || *step > *step_of(*best))) best = entry.path();
  }
  return best;
}

}  // namespace polyphony::pipeline
