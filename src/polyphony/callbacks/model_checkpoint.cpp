#include <polyphony/callbacks/model_checkpoint.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/callbacks/checkpoint_name.h>
#include <polyphony/callbacks/monitor.h>
#include <polyphony/config/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {
namespace fs = std::filesystem;
using tensor::Value;

void ModelCheckpointOptions::describe(config::Fields& f) {
  f("dirpath", dirpath, "where checkpoints go; null: checkpoints/ in the run's directory");
  f("filename", filename, "name pattern, e.g. epoch={epoch}; null: {epoch}-{step}");
  f("monitor", monitor, "metric to rank by; null: keep the newest only");
  f("mode", mode, "whether a smaller or a larger value is better");
  f("save_top_k", save_top_k, "how many of the best to keep; -1 all, 0 none");
  f.check("save_top_k", save_top_k >= -1, "at least -1");
  f.check("save_top_k", monitor || (save_top_k >= -1 && save_top_k <= 1),
          "-1, 0 or 1 where monitor is null");
  f("save_last", save_last, "also keep last.ckpt, a copy of the newest");
  f("save_weights_only", save_weights_only, "leave optimizer and callbacks out");
  f("auto_insert_metric_name", auto_insert_metric_name, "write epoch=3 for {epoch}");
  f("every_n_train_steps", every_n_train_steps, "optimizer steps between checkpoints");
  f.check("every_n_train_steps", !every_n_train_steps || *every_n_train_steps >= 0, "at least 0");
  f("train_time_interval", train_time_interval, "time between checkpoints");
  f("every_n_epochs", every_n_epochs, "epochs between checkpoints; 0: never");
  f.check("every_n_epochs", !every_n_epochs || *every_n_epochs >= 0, "at least 0");
  const int triggers = (every_n_train_steps.value_or(0) > 0 ? 1 : 0) +
                       (every_n_epochs.value_or(0) > 0 ? 1 : 0) + (train_time_interval ? 1 : 0);
  f.check("every_n_epochs", triggers <= 1,
          "given alone, without every_n_train_steps and train_time_interval");
  f("save_on_train_epoch_end", save_on_train_epoch_end,
    "save after the training epoch, not after validation; null: where validation ends the epoch");
  f("safetensors", safetensors, "also write each checkpoint's weights as .safetensors");
  f("verbose", verbose, "print each save");
}

ModelCheckpoint::ModelCheckpoint(Options options, SecondsClock clock)
    : options_(std::move(options)),
      clock_(std::move(clock)),
      kth_value_(static_cast<float>(worst(options_.mode))) {
  const bool given =
      options_.every_n_train_steps || options_.every_n_epochs || options_.train_time_interval;
  if (!given) return;
  every_n_epochs_ = options_.every_n_epochs.value_or(0);
  every_n_train_steps_ = options_.every_n_train_steps.value_or(0);
}

void ModelCheckpoint::setup(train::Trainer& trainer) {
  directory_ = options_.dirpath ? fs::weakly_canonical(*options_.dirpath).string()
                                : trainer.checkpoint_directory().string();
  directory_ = trainer.strategy().broadcast(directory_);
  if (trainer.is_global_zero()) remove_leftovers(directory_);
}

void ModelCheckpoint::on_train_start(train::Trainer&) { last_time_ = clock_(); }

bool ModelCheckpoint::skips(const train::Trainer& trainer) const {
  return trainer.options().fast_dev_run.count > 0 || !trainer.fitting() ||
         trainer.sanity_checking() || last_global_step_saved_ == trainer.global_step();
}

bool ModelCheckpoint::saves_on_train_epoch_end(const train::Trainer& trainer) const {
  if (options_.save_on_train_epoch_end) return *options_.save_on_train_epoch_end;
  const train::TrainerOptions& options = trainer.options();
  if (options.check_val_every_n_epoch != 1) return false;
  if (trainer.num_val_batches() == 0) return true;
  return options.val_check_interval.value == 1.0;
}

ModelCheckpoint::Candidates ModelCheckpoint::candidates(train::Trainer& trainer) {
  Candidates found{trainer.callback_metrics(), trainer.current_epoch(), trainer.global_step()};
  const double* epoch = train::find_value(found.metrics, "epoch");
  const double* step = train::find_value(found.metrics, "step");
  if (epoch != nullptr) found.epoch = static_cast<std::int64_t>(*epoch);
  if (step != nullptr) found.step = static_cast<std::int64_t>(*step);
  return found;
}

void ModelCheckpoint::on_train_batch_end(train::Trainer& trainer, double, std::int64_t) {
  if (every_n_train_steps_ < 1 && !options_.train_time_interval) return;
  if (skips(trainer)) return;
  const bool by_steps =
      every_n_train_steps_ >= 1 && trainer.global_step() % every_n_train_steps_ == 0;
  bool by_time = false;
  if (options_.train_time_interval) {
    const double now = clock_();
    by_time = now - last_time_ >= options_.train_time_interval->seconds;
    by_time = !trainer.strategy().broadcast(by_time ? "due" : "").empty();
    if (by_time) last_time_ = now;
  }
  if (!by_steps && !by_time) return;
  const Candidates found = candidates(trainer);
  save_top_k(trainer, found);
  save_last(trainer, found);
}

void ModelCheckpoint::save_at_epoch(train::Trainer& trainer) {
  const Candidates found = candidates(trainer);
  if (every_n_epochs_ >= 1 && (trainer.current_epoch() + 1) % every_n_epochs_ == 0) {
    save_top_k(trainer, found);
  }
  save_last(trainer, found);
}

void ModelCheckpoint::on_train_epoch_end(train::Trainer& trainer) {
  if (!skips(trainer) && saves_on_train_epoch_end(trainer)) save_at_epoch(trainer);
}

void ModelCheckpoint::on_validation_end(train::Trainer& trainer) {
  if (!skips(trainer) && !saves_on_train_epoch_end(trainer)) save_at_epoch(trainer);
}

void ModelCheckpoint::save_top_k(train::Trainer& trainer, const Candidates& found) {
  if (options_.save_top_k == 0) return;
  if (!options_.monitor) {
    save_newest(trainer, found);
    return;
  }
  const bool strict = trainer.validated();
  const std::optional<double> score = monitored(trainer, *options_.monitor, name(), strict);
  if (!score) return;
  const auto current = static_cast<float>(*score);
  bool save_it =
      options_.save_top_k == -1 || best_k_.size() < static_cast<std::size_t>(options_.save_top_k);
  if (!save_it) {
    const auto kth = std::find_if(best_k_.begin(), best_k_.end(),
                                  [&](const auto& kept) { return kept.first == kth_best_path_; });
    save_it = kth != best_k_.end() && better(options_.mode, current, kth->second);
    save_it = trainer.strategy().decide(save_it);
  }
  if (save_it) save_monitored(trainer, found, current);
}

void ModelCheckpoint::save_monitored(train::Trainer& trainer, const Candidates& found,
                                     float score) {
  const std::size_t most = options_.save_top_k == -1
                               ? best_k_.size() + 1
                               : static_cast<std::size_t>(options_.save_top_k);
  std::string dropped;
  if (best_k_.size() == most) {
    dropped = kth_best_path_;
    std::erase_if(best_k_, [&](const auto& kept) { return kept.first == dropped; });
  }
  if (std::isnan(score)) score = static_cast<float>(worst(options_.mode));
  const std::string path =
      free_path(trainer, found, options_.filename.value_or("{epoch}-{step}"), dropped);
  current_score_ = score;
  best_k_.emplace_back(path, score);
  const auto beats = [&](const auto& a, const auto& b) {
    return better(options_.mode, a.second, b.second);
  };
  const auto loses = [&](const auto& a, const auto& b) {
    return better(options_.mode, b.second, a.second);
  };
  if (best_k_.size() == most) {
    const auto kth = std::min_element(best_k_.begin(), best_k_.end(), loses);
    kth_best_path_ = kth->first;
    kth_value_ = kth->second;
  }
  const auto best = std::min_element(best_k_.begin(), best_k_.end(), beats);
  best_path_ = best->first;
  best_score_ = best->second;
  save(trainer, path);
  if (!dropped.empty() && dropped != path) remove(trainer, dropped);
}

void ModelCheckpoint::save_newest(train::Trainer& trainer, const Candidates& found) {
  const std::string path =
      free_path(trainer, found, options_.filename.value_or("{epoch}-{step}"), "");
  const std::string previous = std::exchange(best_path_, path);
  save(trainer, path);
  if (options_.save_top_k == 1 && !previous.empty() && previous != path) remove(trainer, previous);
}

void ModelCheckpoint::save_last(train::Trainer& trainer, const Candidates& found) {
  if (!options_.save_last) return;
  const std::string path = free_path(trainer, found, "last", last_path_);
  const std::string previous = std::exchange(last_path_, path);
  save(trainer, path);
  if (!previous.empty() && previous != path) remove(trainer, previous);
}

void ModelCheckpoint::save(train::Trainer& trainer, const std::string& path) {
  // Set first: it is part of what is saved.
  last_global_step_saved_ = trainer.global_step();
  trainer.save_checkpoint(path, options_.save_weights_only ? train::Contents::kWeightsOnly
                                                           : train::Contents::kEverything);
  if (options_.safetensors) {
    trainer.save_checkpoint(fs::path(path).replace_extension(".safetensors"));
  }
  if (options_.verbose && trainer.is_global_zero()) fmt::print("checkpoint: {}\n", path);
}

void ModelCheckpoint::remove(train::Trainer& trainer, const std::string& path) const {
  if (!trainer.is_global_zero()) return;
  std::error_code ignored;  // someone else may have removed it
  fs::remove(path, ignored);
  if (options_.safetensors) fs::remove(fs::path(path).replace_extension(".safetensors"), ignored);
}

std::string ModelCheckpoint::path_of(const Candidates& found, const std::string& pattern,
                                     int version) const {
  std::string file = checkpoint_name(pattern, found.metrics, found.epoch, found.step,
                                     options_.auto_insert_metric_name);
  if (version > 0) file += fmt::format("-v{}", version);
  return (fs::path(directory_) / (file + ".ckpt")).string();
}

std::string ModelCheckpoint::free_path(train::Trainer& trainer, const Candidates& found,
                                       const std::string& pattern, const std::string& own) const {
  std::string path = path_of(found, pattern, 0);
  for (int version = 1;; ++version) {
    if (path == own) return path;
    if (trainer.strategy().broadcast(fs::exists(path) ? "taken" : "").empty()) return path;
    path = path_of(found, pattern, version);
  }
}

std::string ModelCheckpoint::state_key() const {
  std::string interval = "None";
  if (options_.train_time_interval) {
    const auto all = static_cast<std::int64_t>(options_.train_time_interval->seconds);
    const std::int64_t days = all / 86400;
    const std::int64_t seconds = all % 86400;
    std::string parts = days > 0 ? fmt::format("days={}", days) : "";
    if (seconds > 0 || days == 0) {
      parts += fmt::format("{}seconds={}", parts.empty() ? "" : ", ", seconds);
    }
    interval = "datetime.timedelta(" + parts + ")";
  }
  return fmt::format(
      "ModelCheckpoint{{'monitor': {}, 'mode': '{}', 'every_n_train_steps': {}, 'every_n_epochs': "
      "{}, 'train_time_interval': {}}}",
      options_.monitor ? "'" + *options_.monitor + "'" : "None", config::show(options_.mode),
      every_n_train_steps_, every_n_epochs_, interval);
}

namespace {

Value score_value(std::optional<float> score) {
  return score ? Value(at::scalar_tensor(*score, at::kFloat)) : Value();
}

std::optional<float> score_of(const Value& value) {
  if (value.kind() == Value::Kind::kNone) return std::nullopt;
  if (value.kind() == Value::Kind::kTensor) return value.as_tensor().item<float>();
  return static_cast<float>(value.as_float());
}

}  // namespace

Value ModelCheckpoint::state_dict() const {
  Value kept = Value::dict();
  for (const auto& [path, score] : best_k_) kept.set(path, score_value(score));
  Value state = Value::dict();
  state.set("monitor", options_.monitor ? Value(*options_.monitor) : Value());
  state.set("best_model_score", score_value(best_score_));
  state.set("best_model_path", Value(best_path_));
  state.set("current_score", score_value(current_score_));
  state.set("dirpath", Value(directory_));
  state.set("best_k_models", std::move(kept));
  state.set("kth_best_model_path", Value(kth_best_path_));
  state.set("kth_value", score_value(kth_value_));
  state.set("last_model_path", Value(last_path_));
  state.set("last_global_step_saved", Value(last_global_step_saved_));
  return state;
}

void ModelCheckpoint::load_state_dict(const Value& state) {
  best_path_ = state.at("best_model_path").as_string();
  const Value* saved = state.find("last_global_step_saved");
  if (saved != nullptr) last_global_step_saved_ = saved->as_int();
  const Value* directory = state.find("dirpath");
  const bool same = directory == nullptr || directory->kind() != Value::Kind::kString ||
                    directory->as_string() == directory_;
  if (!same) return;  // a new place: only the best is known, as in Lightning
  best_score_ = score_of(state.at("best_model_score"));
  if (const Value* score = state.find("current_score")) current_score_ = score_of(*score);
  if (const Value* path = state.find("kth_best_model_path")) kth_best_path_ = path->as_string();
  if (const Value* value = state.find("kth_value")) {
    kth_value_ = score_of(*value).value_or(kth_value_);
  }
  if (const Value* path = state.find("last_model_path")) last_path_ = path->as_string();
  best_k_.clear();
  for (const auto& [path, score] : state.at("best_k_models").entries()) {
    best_k_.emplace_back(path.as_string(), *score_of(score));
  }
}

POLYPHONY_REGISTER(train::Callback, ModelCheckpoint, "polyphony.callbacks.ModelCheckpoint",
                   "saves checkpoints by a monitored metric, by steps or by time")

}  // namespace polyphony::callbacks
