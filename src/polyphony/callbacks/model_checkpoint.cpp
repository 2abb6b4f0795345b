#include <polyphony/callbacks/model_checkpoint.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/base/notice.h>
#include <polyphony/callbacks/checkpoint_name.h>
#include <polyphony/callbacks/monitor.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {
namespace fs = std::filesystem;
namespace {

/// The weights alone, beside a checkpoint.
fs::path twin(const fs::path& path) { return fs::path(path).replace_extension(".safetensors"); }

}  // namespace

void ModelCheckpointOptions::describe(config::Fields& f) {
  f("dirpath", dirpath, "where checkpoints go; null: checkpoints/ in the run's directory");
  f("filename", filename, "name pattern, e.g. epoch={epoch}; null: {epoch}-{step}");
  f("monitor", monitor, "metric to rank by; null: keep the newest only");
  f("mode", mode, "whether a smaller or a larger value is better");
  f("save_top_k", save_top_k, "how many of the best to keep; -1 all, 0 none");
  f.check("save_top_k", save_top_k >= -1, "at least -1");
  f.check("save_top_k", monitor || (save_top_k >= -1 && save_top_k <= 1),
          "-1, 0 or 1 where monitor is null");
  f("save_last", save_last,
    "also keep last.ckpt, a copy of the newest; null: of the fit's end, where no other has it");
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
    : options_(std::move(options)), clock_(std::move(clock)) {
  now_.kth_value = static_cast<float>(worst(options_.mode));
  const bool given =
      options_.every_n_train_steps || options_.every_n_epochs || options_.train_time_interval;
  if (!given) return;
  every_n_epochs_ = options_.every_n_epochs.value_or(0);
  every_n_train_steps_ = options_.every_n_train_steps.value_or(0);
}

void ModelCheckpoint::setup(train::Trainer& trainer) {
  directory_ = absolute_directory(options_.dirpath ? fs::path(*options_.dirpath)
                                                   : trainer.checkpoint_directory())
                   .string();
  directory_ = trainer.collective().broadcast(directory_);
  files_.set_directory(directory_);
  if (trainer.is_global_zero()) remove_leftovers(directory_);
}

void ModelCheckpoint::unlock() {
  lock_.reset();
  locked_ = false;
}

void ModelCheckpoint::lock(train::Trainer& trainer) {
  const bool saves = options_.save_top_k != 0 || options_.save_last.value_or(false);
  if (locked_ || !saves || trainer.options().fast_dev_run.count > 0) return;
  std::string refusal;
  const std::string remedy =
      "give this run a place of its own, e.g. callbacks.model_checkpoint.dirpath=OTHER, or wait "
      "until that one has ended";
  if (trainer.is_global_zero()) {
    try {
      lock_ = RunLock::acquire(directory_, &trainer,
                               "run " + absolute_directory(trainer.root()).string(), remedy);
    } catch (const IoError& error) {
      refusal = error.what();
    }
  }
  refusal = trainer.collective().broadcast(refusal);
  if (!refusal.empty()) throw IoError(refusal);  // with its remedy
  locked_ = true;
}

void ModelCheckpoint::on_fit_start(train::Trainer& trainer) {
  lock(trainer);
  if (!trainer.resumed_from().empty()) adopt_ranking(trainer);
}

void ModelCheckpoint::on_train_start(train::Trainer& trainer) {
  last_time_ = clock_();
  first_step_ = trainer.global_step();
}

void ModelCheckpoint::on_train_end(train::Trainer& trainer) {
  const bool wanted = options_.save_last.value_or(options_.save_top_k != 0);
  if (!wanted || skips(trainer) || trainer.global_step() == first_step_) return;
  const Candidates found = candidates(trainer);
  const std::string own = now_.last_path;
  const std::string path = free_path(trainer, found, "last", own);
  written_ = now_;
  try {
    now_.last_path = path;
    save(trainer, path);
  } catch (...) {
    now_ = written_;
    throw;
  }
  if (!own.empty() && own != path) remove(trainer, own);
}

bool ModelCheckpoint::skips(const train::Trainer& trainer) const {
  return trainer.options().fast_dev_run.count > 0 || !trainer.fitting() ||
         trainer.sanity_checking() || now_.last_global_step_saved == trainer.global_step();
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
    by_time = trainer.collective().rank_zero_says(by_time);
    if (by_time) last_time_ = now;
  }
  if (!by_steps && !by_time) return;
  save_all(trainer, /*ranked=*/true);
}

void ModelCheckpoint::save_at_epoch(train::Trainer& trainer) {
  save_all(trainer, every_n_epochs_ >= 1 && (trainer.current_epoch() + 1) % every_n_epochs_ == 0);
}

/// The best and last.ckpt, each wholly or not at all: after an error the rest is done again.
void ModelCheckpoint::save_all(train::Trainer& trainer, bool ranked) {
  const Candidates found = candidates(trainer);
  const std::int64_t step = trainer.global_step();
  const std::int64_t saved_before = now_.last_global_step_saved;
  written_ = now_;
  try {
    if (ranked && ranked_step_ != step) save_top_k(trainer, found);
    if (now_.last_global_step_saved == step) ranked_step_ = step;
    if (options_.save_last.value_or(false)) save_last(trainer, found);
  } catch (...) {
    now_ = written_;
    now_.last_global_step_saved = saved_before;
    throw;
  }
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
  bool save_it = options_.save_top_k == -1 ||
                 now_.best_k.size() < static_cast<std::size_t>(options_.save_top_k);
  if (!save_it) {
    const auto kth = std::find_if(now_.best_k.begin(), now_.best_k.end(), [&](const auto& kept) {
      return kept.first == now_.kth_best_path;
    });
    save_it = kth != now_.best_k.end() && better(options_.mode, current, kth->second);
    save_it = trainer.collective().all(save_it);
  }
  if (save_it) save_monitored(trainer, found, current);
}

void ModelCheckpoint::save_monitored(train::Trainer& trainer, const Candidates& found,
                                     float score) {
  const std::size_t most = options_.save_top_k == -1
                               ? now_.best_k.size() + 1
                               : static_cast<std::size_t>(options_.save_top_k);
  std::string dropped;
  if (now_.best_k.size() >= most) {
    dropped = now_.kth_best_path;
    std::erase_if(now_.best_k, [&](const auto& kept) { return kept.first == dropped; });
  }
  if (std::isnan(score)) score = static_cast<float>(worst(options_.mode));
  const std::string path =
      free_path(trainer, found, options_.filename.value_or("{epoch}-{step}"), dropped);
  now_.current_score = score;
  now_.best_k.emplace_back(path, score);
  const auto beats = [&](const auto& a, const auto& b) {
    return better(options_.mode, a.second, b.second);
  };
  const auto loses = [&](const auto& a, const auto& b) {
    return better(options_.mode, b.second, a.second);
  };
  if (now_.best_k.size() >= most) {
    const auto kth = std::min_element(now_.best_k.begin(), now_.best_k.end(), loses);
    now_.kth_best_path = kth->first;
    now_.kth_value = kth->second;
  }
  const auto best = std::min_element(now_.best_k.begin(), now_.best_k.end(), beats);
  now_.best_path = best->first;
  now_.best_score = best->second;
  save(trainer, path);
  if (!dropped.empty() && dropped != path) remove(trainer, dropped);
}

void ModelCheckpoint::save_newest(train::Trainer& trainer, const Candidates& found) {
  const std::string path =
      free_path(trainer, found, options_.filename.value_or("{epoch}-{step}"), "");
  const std::string previous = std::exchange(now_.best_path, path);
  save(trainer, path);
  if (options_.save_top_k == 1 && !previous.empty() && previous != path) remove(trainer, previous);
}

void ModelCheckpoint::save_last(train::Trainer& trainer, const Candidates& found) {
  const std::string path = free_path(trainer, found, "last", now_.last_path);
  const std::string previous = std::exchange(now_.last_path, path);
  save(trainer, path);
  if (!previous.empty() && previous != path) remove(trainer, previous);
}

void ModelCheckpoint::save(train::Trainer& trainer, const std::string& path) {
  // Set first: it is part of what is saved.
  now_.last_global_step_saved = trainer.global_step();
  const bool anew = !trainer.is_global_zero() || !fs::exists(fs::symlink_status(path));
  try {
    if (options_.safetensors) write(trainer, twin(path));  // first: the checkpoint lists it
    write(trainer, path);
  } catch (...) {
    // Ranked nowhere, so that nobody would ever delete them.
    for (const fs::path& file : {fs::path(path), twin(path)}) {
      if (anew && trainer.is_global_zero() && files_.written(file)) files_.remove(file);
    }
    throw;
  }
  // From here on it is kept, also if another process is lost or a logger fails.
  written_ = now_;
  if (options_.safetensors) trainer.announce_checkpoint(twin(path));
  trainer.announce_checkpoint(path);
  if (options_.verbose && trainer.is_global_zero()) inform("checkpoint: {}", path);
}

void ModelCheckpoint::write(train::Trainer& trainer, const std::string& path) {
  const Fingerprint written =
      trainer.write_checkpoint(path, options_.save_weights_only ? train::Contents::kWeightsOnly
                                                                : train::Contents::kEverything);
  if (trainer.is_global_zero()) files_.add(path, written);
}

void ModelCheckpoint::remove(train::Trainer& trainer, const std::string& path) {
  if (!trainer.is_global_zero()) return;
  files_.remove(path);
  if (options_.safetensors) files_.remove(twin(path));
}

std::string ModelCheckpoint::path_of(const Candidates& found, const std::string& pattern,
                                     int version) const {
  std::string file = checkpoint_name(pattern, found.metrics, found.epoch, found.step,
                                     options_.auto_insert_metric_name);
  if (version > 0) file += fmt::format("-v{}", version);
  return (fs::path(directory_) / (file + ".ckpt")).string();
}

/// Whether another checkpoint has the name: `own` is this one's, as far as it is this run's.
bool ModelCheckpoint::taken(const std::string& path, const std::string& own) const {
  const auto there = [&](const fs::path& file) {
    if (!fs::exists(fs::symlink_status(file))) return false;
    return path != own || !files_.objection(file).empty();
  };
  return there(path) || (options_.safetensors && there(twin(path)));
}

std::string ModelCheckpoint::free_path(train::Trainer& trainer, const Candidates& found,
                                       const std::string& pattern, const std::string& own) const {
  std::string path = path_of(found, pattern, 0);
  for (int version = 1;; ++version) {
    const bool other = trainer.is_global_zero() && taken(path, own);
    if (!trainer.collective().rank_zero_says(other)) return path;
    path = path_of(found, pattern, version);
  }
}

POLYPHONY_REGISTER(train::Callback, ModelCheckpoint, "polyphony.callbacks.ModelCheckpoint",
                   "saves checkpoints by a monitored metric, by steps or by time")

}  // namespace polyphony::callbacks
