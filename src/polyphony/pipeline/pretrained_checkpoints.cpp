#include <polyphony/pipeline/pretrained_checkpoints.h>

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <fmt/format.h>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/base/notice.h>
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
  files_.set_directory(
      trainer.collective().broadcast(absolute_directory(arguments_.options().output_dir).string()));
}

void PretrainedCheckpoints::unlock() {
  lock_.reset();
  locked_ = false;
}

void PretrainedCheckpoints::lock(train::Trainer& trainer) {
  if (locked_ || arguments_.options().save_strategy == IntervalStrategy::kNo) return;
  std::string refusal;
  if (trainer.is_global_zero()) {
    try {
      lock_ = RunLock::acquire(files_.directory(), &trainer,
                               "run " + absolute_directory(trainer.root()).string(),
                               "give this run a place of its own, e.g. "
                               "training_arguments.output_dir=OTHER, or wait until that one "
                               "has ended");
    } catch (const IoError& error) {
      refusal = error.what();
    }
  }
  refusal = trainer.collective().broadcast(refusal);
  if (!refusal.empty()) throw IoError(refusal);  // with its remedy
  locked_ = true;
}

void PretrainedCheckpoints::on_load_checkpoint(train::Trainer& trainer, const tensor::Value&) {
  lock(trainer);
  std::error_code error;
  const fs::path file = fs::canonical(trainer.resumed_from(), error);
  resumed_folder_ = file.parent_path().parent_path();
  const bool mine = resumed_folder_ == files_.directory();
  in_place_ = trainer.collective().rank_zero_says(mine);
  // It does not list itself.
  if (in_place_ && trainer.is_global_zero()) files_.add(file, file_fingerprint(file));
}

void PretrainedCheckpoints::on_fit_start(train::Trainer& trainer) {
  lock(trainer);
  if (saved_.best.empty()) return;
  const bool gone = trainer.is_global_zero() && !fs::exists(saved_.best);
  if (!trainer.collective().rank_zero_says(gone)) return;
  if (trainer.is_global_zero()) {
    warn("{}: the best checkpoint is gone: the next one is the best", saved_.best);
  }
  saved_.best.clear();
  saved_.best_metric.reset();
}

void PretrainedCheckpoints::on_train_start(train::Trainer& trainer) {
  first_step_ = trainer.global_step();
}

/// As Transformers: the last step is saved where any is.
void PretrainedCheckpoints::on_train_end(train::Trainer& trainer) {
  if (arguments_.options().save_strategy == IntervalStrategy::kNo) return;
  if (trainer.global_step() != first_step_) save(trainer, Judged::kNo);
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
  const bool better =
      !saved_.best_metric || (arguments_.greater_is_better() ? *value > *saved_.best_metric
                                                             : *value < *saved_.best_metric);
  if (!better) return;
  saved_.best_metric = *value;
  saved_.best = folder;
}

void PretrainedCheckpoints::save(train::Trainer& trainer, Judged judged) {
  const std::int64_t step = trainer.global_step();
  if (step == saved_.step) return;
  const Saved before = saved_;
  try {
    saved_.step = step;
    const fs::path folder =
        fs::path(arguments_.options().output_dir) / fmt::format("{}{}", kPrefix, step);
    // An epoch that max_steps cut short was not evaluated.
    const bool whole = arguments_.evaluation() != IntervalStrategy::kEpoch ||
                       trainer.batch_in_epoch() == trainer.num_training_batches();
    if (judged == Judged::kYes && whole) compare(trainer, folder.string());
    std::erase(saved_.folders, folder.string());
    saved_.folders.push_back(folder.string());
    write(trainer, folder);
  } catch (...) {
    saved_ = before;
    throw;
  }
  trainer.announce_checkpoint(fs::path(saved_.folders.back()) / "trainer.ckpt");
  rotate(trainer);
}

namespace {

/// Another's folder keeps what it has, under another name.
void put_aside(const fs::path& folder) {
  fs::path aside;
  int version = 1;
  do {
    aside = folder.string() + fmt::format(".old-{}", version++);
  } while (fs::exists(fs::symlink_status(aside)));
  std::error_code error;
  fs::rename(folder, aside, error);
  if (!error) inform("{} is put aside as {}", folder.string(), aside.string());
}

/// Lists what was written into a folder as it will be called.
void list_files(train::OwnedFiles& files, const fs::path& folder, const fs::path& in) {
  for (const auto& entry : fs::recursive_directory_iterator(in)) {
    if (!entry.is_regular_file()) continue;
    files.add(folder / entry.path().lexically_relative(in), file_fingerprint(entry.path()));
  }
}

}  // namespace

/// Written beside its place and moved there whole.
void PretrainedCheckpoints::write(train::Trainer& trainer, const fs::path& folder) {
  const fs::path unfinished = folder.string() + std::string(kUnfinished);
  std::optional<UnfinishedFolder> writing;
  bool mine = true;  // what has the folder's name already
  if (trainer.is_global_zero()) {
    mine = files_.folder_objection(folder).empty();
    writing.emplace(unfinished);
    save_model_(unfinished);
    write_file(unfinished / "trainer_state.json", trainer_state(trainer));
    list_files(files_, folder, unfinished);  // part of what is saved
  }
  trainer.collective().barrier();
  const Fingerprint written =
      trainer.write_checkpoint(unfinished / "trainer.ckpt", train::Contents::kEverything);
  trainer.collective().barrier();
  if (!trainer.is_global_zero()) return;
  if (!mine) put_aside(folder);
  put_in_place(unfinished, folder);
  files_.add(folder / "trainer.ckpt", written);
}

/// The newest and the best are spared, as in Transformers: a limit of 1 keeps both.
void PretrainedCheckpoints::rotate(train::Trainer& trainer) {
  const auto& limit = arguments_.options().save_total_limit;
  if (!limit) return;
  std::vector<std::string> others = saved_.folders;
  const std::string newest = others.back();
  std::erase_if(others,
                [&](const std::string& name) { return name == newest || name == saved_.best; });
  const std::int64_t spared = saved_.best.empty() || saved_.best == newest ? 1 : 2;
  const std::int64_t room = std::max<std::int64_t>(0, *limit - spared);
  while (std::ssize(others) > room) {
    if (trainer.is_global_zero()) files_.remove_folder(others.front());
    std::erase(saved_.folders, others.front());
    others.erase(others.begin());
  }
}

std::string PretrainedCheckpoints::trainer_state(train::Trainer& trainer) const {
  Json state;
  state["best_metric"] = saved_.best_metric ? Json(*saved_.best_metric) : Json();
  state["best_model_checkpoint"] = saved_.best.empty() ? Json() : Json(saved_.best);
  state["epoch"] = epochs_done(trainer);
  state["global_step"] = trainer.global_step();
  state["is_hyper_param_search"] = false;
  state["is_local_process_zero"] = true;
  state["is_world_process_zero"] = true;
  state["log_history"] = Json::array();
  for (const std::string& line : log_) state["log_history"].push_back(parse_ordered_json(line));
  state["max_steps"] = total_steps_;
  state["num_train_epochs"] = trainer.max_epochs();
  state["total_flos"] = 0;
  state["trial_name"] = nullptr;
  state["trial_params"] = nullptr;
  return state.dump(2) + "\n";
}

namespace {

tensor::Value texts(const std::vector<std::string>& lines) {
  tensor::Value list = tensor::Value::list();
  for (const std::string& line : lines) list.append(tensor::Value(line));
  return list;
}

}  // namespace

void PretrainedCheckpoints::add_state(const Saved& saved, tensor::Value& state) {
  using tensor::Value;
  state.set("folders", texts(saved.folders));
  state.set("best", Value(saved.best));
  if (saved.best_metric) state.set("best_metric", Value(*saved.best_metric));
  state.set("saved_step", Value(saved.step));
}

tensor::Value PretrainedCheckpoints::state_dict() const {
  using tensor::Value;
  Value state = Value::dict();
  state.set("log", texts(log_));
  state.set("losses", Value(losses_));
  state.set("counted", Value(counted_));
  state.set("logged_step", Value(logged_step_));
  add_state(saved_, state);
  state.set("files", files_.state());
  return state;
}

tensor::Value PretrainedCheckpoints::state_after_failure(tensor::Value before) const {
  tensor::Value state = tensor::Value::dict();
  for (const char* key : {"log", "losses", "counted", "logged_step"}) {
    state.set(key, before.at(key));
  }
  add_state(saved_, state);
  state.set("files", files_.state());
  return state;
}

void PretrainedCheckpoints::load_state_dict(const tensor::Value& state) {
  const auto lines = [&](const char* key) {
    std::vector<std::string> all;
    for (const tensor::Value& line : state.at(key).items()) all.push_back(line.as_string());
    return all;
  };
  log_ = lines("log");
  losses_ = state.at("losses").as_float();
  counted_ = state.at("counted").as_int();
  logged_step_ = state.at("logged_step").as_int();
  saved_.step = state.at("saved_step").as_int();
  const tensor::Value* files = state.find("files");
  if (in_place_ && files != nullptr) files_.load_state(*files);
  // The folder that holds them may have been moved: they lie beside the one that was loaded.
  const auto place = [&](const std::string& folder) {
    const fs::path beside = resumed_folder_ / fs::path(folder).filename();
    return fs::exists(beside) ? beside.string() : folder;
  };
  saved_.folders.clear();
  if (in_place_) {
    for (const std::string& folder : lines("folders")) saved_.folders.push_back(place(folder));
  }
  saved_.best = state.at("best").as_string();
  if (!saved_.best.empty()) saved_.best = place(saved_.best);
  if (const tensor::Value* metric = state.find("best_metric")) {
    saved_.best_metric = metric->as_float();
  }
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
