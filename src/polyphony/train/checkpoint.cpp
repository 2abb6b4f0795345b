#include <polyphony/train/checkpoint.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/safetensors.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/last_step.h>
#include <polyphony/train/resume_check.h>
#include <polyphony/train/resume_ranks.h>
#include <polyphony/train/resume_rates.h>

namespace polyphony::train {
namespace fs = std::filesystem;
namespace {

using tensor::Value;

constexpr const char* kExact = "polyphony";  // our own key, which Lightning leaves alone

Value named(const NamedTensors& tensors) {
  Value dict = Value::dict();
  for (const auto& [name, tensor] : tensors) dict.set(name, Value(tensor));
  return dict;
}

NamedTensors tensors_of(const Value& dict) {
  NamedTensors tensors;
  for (const auto& [name, value] : dict.entries()) {
    tensors.emplace_back(name.as_string(), value.as_tensor());
  }
  return tensors;
}

const Value& part(const Value& checkpoint, const std::string& key, const fs::path& path) {
  const Value* value = checkpoint.kind() == Value::Kind::kDict ? checkpoint.find(key) : nullptr;
  if (value != nullptr) return *value;
  throw DataError(fmt::format("{}: the checkpoint has no '{}'", path.string(), key),
                  "give a checkpoint that was saved whole, not with save_weights_only");
}

Value threads_in_force() {
  const tensor::Threads threads = tensor::current_threads();
  Value state = Value::dict();
  state.set("kernels", Value(std::int64_t{threads.kernels}));
  state.set("blas", Value(std::int64_t{threads.blas}));
  return state;
}

/// @param state  null in checkpoints of before threads were measured
void restore_threads(const Value* state) {
  if (state == nullptr) return;
  const tensor::Threads threads = {static_cast<int>(state->at("kernels").as_int()),
                                   static_cast<int>(state->at("blas").as_int())};
  if (tensor::resume_threads(threads)) fmt::print("as before: {}\n", tensor::describe_compute());
}

/// How rows were dealt; checkpoints of before it was kept say only to how many processes.
Dealing dealing_before(const Trainer& trainer, const Value& exact) {
  if (const Value* saved = exact.find("dealing")) return dealing_at(*saved);
  Dealing dealing = dealing_of(trainer);
  dealing.world = std::ssize(exact.at("ranks").items());
  return dealing;
}

/// Where the interrupted epoch stands; nullopt between epochs, and where its batch says it all.
std::optional<data::EpochPlace> place_before(const Trainer& trainer, const Value& exact,
                                             const Dealing& before) {
  if (trainer.progress().point == Point::kEpochStart) return std::nullopt;
  if (const Value* saved = exact.find("epoch")) return place_at(*saved);
  if (before == dealing_of(trainer)) return std::nullopt;
  data::EpochPlace place = trainer.train_loader().place(0, trainer.num_training_batches());
  place.order.world = before.world;
  place.end = place.rows;
  place.taken = trainer.progress().batch * place.order.step();
  return place;
}

void print_lines(const Trainer& trainer, const std::vector<std::string>& lines) {
  if (!trainer.is_global_zero()) return;
  for (const std::string& line : lines) fmt::print("resumed: {}\n", line);
}

Value callback_states(const Trainer& trainer, const LastStep* last) {
  Value states = Value::dict();
  for (std::size_t i = 0; i < trainer.callbacks().size(); ++i) {
    const Callback& callback = *trainer.callbacks()[i];
    if (callback.state_key().empty()) continue;
    states.set(callback.state_key(), last == nullptr
                                         ? callback.state_dict()
                                         : callback.state_after_failure(last->callback_state(i)));
  }
  return states;
}

Value schedule_states(const Trainer& trainer, const LastStep* last) {
  Value states = Value::list();
  if (last != nullptr && last->schedule_state()) {
    states.append(*last->schedule_state());
  } else if (trainer.schedule() != nullptr) {
    states.append(trainer.schedule()->state_dict());
  }
  return states;
}

/// What each process knows, in the order of ranks; null for those that could not be asked.
Value rank_states(Trainer& trainer, const LastStep* last) {
  if (last == nullptr) return trainer.strategy().gather(own_state(trainer));
  Value states = Value::list();
  states.append(last->own_state());
  for (int rank = 1; rank < trainer.strategy().world_size(); ++rank) states.append(Value());
  return states;
}

Value exact_state(Trainer& trainer, const FitProgress& progress, const LastStep* last) {
  Value exact = Value::dict();
  exact.set("position", position_of(progress));
  exact.set("loss", Value(last == nullptr ? trainer.newest_loss() : last->loss()));
  if (last != nullptr) exact.set("should_stop", Value(last->should_stop()));
  exact.set("threads", threads_in_force());
  exact.set("dealing", value_of(dealing_of(trainer)));
  if (progress.point != Point::kEpochStart) {
    exact.set("epoch", value_of(trainer.train_loader().place(progress.batch,
                                                             trainer.num_training_batches())));
  }
  exact.set("ranks", rank_states(trainer, last));
  return exact;
}

}  // namespace

Value dump_checkpoint(Trainer& trainer, Contents contents, const LastStep* last) {
  const FitProgress progress = last == nullptr ? trainer.progress() : last->progress();
  Value checkpoint = Value::dict();
  checkpoint.set("epoch", Value(progress.epoch));
  checkpoint.set("global_step", Value(progress.global_step));
  checkpoint.set("pytorch-lightning_version", Value(std::string("1.9.5")));
  checkpoint.set("state_dict", named(trainer.task().state()));
  checkpoint.set("loops", loops_of(progress, trainer.num_val_batches()));
  if (contents == Contents::kEverything) {
    checkpoint.set("callbacks", callback_states(trainer, last));
    Value optimizers = Value::list();
    optimizers.append(trainer.optimizer().state_dict());
    checkpoint.set("optimizer_states", std::move(optimizers));
    checkpoint.set("lr_schedulers", schedule_states(trainer, last));
    checkpoint.set(kExact, exact_state(trainer, progress, last));
  }
  if (trainer.hyper_parameters().kind() == Value::Kind::kDict) {
    checkpoint.set("hparams_name", Value(std::string("kwargs")));
    checkpoint.set("hyper_parameters", trainer.hyper_parameters());
  }
  for (const auto& callback : trainer.callbacks())
    callback->on_save_checkpoint(trainer, checkpoint);
  trainer.task().on_save_checkpoint(checkpoint);
  return checkpoint;
}

void restore_model_and_callbacks(Trainer& trainer, const Value& checkpoint, const fs::path& path) {
  for (const auto& callback : trainer.callbacks()) {
    callback->on_load_checkpoint(trainer, checkpoint);
  }
  trainer.task().on_load_checkpoint(checkpoint);
  trainer.task().load_state(tensors_of(part(checkpoint, "state_dict", path)), path.string());
  const Value& states = part(checkpoint, "callbacks", path);
  for (const auto& callback : trainer.callbacks()) {
    const Value* state =
        callback->state_key().empty() ? nullptr : states.find(callback->state_key());
    if (state != nullptr) callback->load_state_dict(*state);
  }
}

at::Tensor restore_training_state(Trainer& trainer, const Value& checkpoint, const fs::path& path) {
  const std::vector<Value>& optimizers = part(checkpoint, "optimizer_states", path).items();
  const std::vector<Value>& schedules = part(checkpoint, "lr_schedulers", path).items();
  if (optimizers.size() != 1) {
    throw DataError(
        fmt::format("{}: {} optimizers in the checkpoint, not 1", path.string(), optimizers.size()),
        "resume with the configuration that the checkpoint was saved with");
  }
  const Value* schedule = schedules.empty() ? nullptr : &schedules.front();
  const Value* exact = checkpoint.find(kExact);
  if (exact == nullptr) {
    trainer.progress() = progress_of(checkpoint);
    print_lines(trainer,
                restore_rates(trainer, optimizers.front(), schedule, trainer.total_steps()));
    return {};
  }
  check_exact_state(*exact, path);
  restore_threads(exact->find("threads"));
  trainer.progress() = progress_at(exact->at("position"));
  if (const Value* loss = exact->find("loss")) trainer.add_loss(loss->as_float());
  const Value* stopping = exact->find("should_stop");
  if (stopping != nullptr && stopping->as_bool()) trainer.request_stop();
  const Dealing before = dealing_before(trainer, *exact);
  print_lines(trainer, resume_epoch(trainer, before, place_before(trainer, *exact, before)));
  print_lines(trainer, restore_rates(trainer, optimizers.front(), schedule, before.total_steps));
  return restore_own_state(trainer, exact->at("ranks").items());
}

fs::path free_checkpoint(const fs::path& directory, const std::string& stem, const fs::path& own) {
  const auto taken = [&](const fs::path& path) {
    std::error_code error;
    return fs::exists(fs::symlink_status(path)) && !fs::equivalent(path, own, error);
  };
  fs::path path = directory / (stem + ".ckpt");
  for (int version = 1; taken(path); ++version) {
    path = directory / fmt::format("{}-v{}.ckpt", stem, version);
  }
  return path;
}

namespace {

/// Of last.ckpt, last-v1.ckpt …, the one that was written last; empty where there is none.
fs::path newest_last(const fs::path& directory) {
  fs::path newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().stem().string();
    const bool last = name == "last" || name.starts_with("last-v");
    if (!last || entry.path().extension() != ".ckpt") continue;
    if (newest.empty() || entry.last_write_time() > fs::last_write_time(newest)) {
      newest = entry.path();
    }
  }
  return newest;
}

/// The best by a ModelCheckpoint's state: what lay in its directory lies beside the checkpoint now,
/// wherever that was moved or copied to. Empty where the state has none.
fs::path best_of(const Value& state, const fs::path& checkpoint) {
  const Value* best = state.kind() == Value::Kind::kDict ? state.find("best_model_path") : nullptr;
  if (best == nullptr || best->as_string().empty()) return {};
  const fs::path path = best->as_string();
  const Value* directory = state.find("dirpath");
  if (directory != nullptr && directory->kind() == Value::Kind::kString) {
    const fs::path name = path.lexically_relative(directory->as_string());
    const fs::path beside = checkpoint.parent_path() / name;
    if (!name.empty() && *name.begin() != ".." && fs::exists(beside)) return beside;
  }
  if (fs::exists(path)) return path;
  throw DataError(
      fmt::format("{}: the best checkpoint by {} is gone", path.string(), checkpoint.string()),
      "name another .ckpt file");
}

}  // namespace

fs::path best_checkpoint(const fs::path& checkpoint_or_run) {
  if (!fs::is_directory(checkpoint_or_run)) return checkpoint_or_run;
  for (const fs::path& directory : {checkpoint_or_run / "checkpoints", checkpoint_or_run}) {
    const fs::path last = newest_last(directory);
    if (last.empty()) continue;
    const Value checkpoint = tensor::load_archive(last);
    for (const auto& [key, state] : part(checkpoint, "callbacks", last).entries()) {
      if (fs::path best = best_of(state, last); !best.empty()) return best;
    }
  }
  throw DataError(
      checkpoint_or_run.string() + ": no best checkpoint is known in this run's directory",
      "train it with a ModelCheckpoint and save_last: true, or name a .ckpt file");
}

NamedTensors load_state_dict(const fs::path& checkpoint) {
  if (checkpoint.extension() == ".safetensors") {
    const tensor::TensorMap map = tensor::load_safetensors(checkpoint);
    return {map.begin(), map.end()};
  }
  return tensors_of(part(tensor::load_archive(checkpoint), "state_dict", checkpoint));
}

void write_checkpoint(Trainer& trainer, const fs::path& path, const Value& checkpoint) {
  if (trainer.is_global_zero()) tensor::save_archive(path, checkpoint);
  trainer.announce_checkpoint(path);
}

void Trainer::save_checkpoint(const fs::path& path, Contents contents) {
  write_checkpoint(path, contents);
  announce_checkpoint(path);
}

Fingerprint Trainer::write_checkpoint(const fs::path& path, Contents contents) {
  const Profiler::Action action(profiler_, "save_checkpoint");
  if (path.extension() == ".safetensors") {
    tensor::TensorMap weights;
    for (const auto& [name, tensor] : task_->state()) weights.emplace(name, tensor);
    if (!is_global_zero()) return {};
    tensor::save_safetensors(path, weights);
    return file_fingerprint(path);
  }
  const Value checkpoint = dump_checkpoint(*this, contents);
  return is_global_zero() ? tensor::save_archive(path, checkpoint) : Fingerprint{};
}

void Trainer::announce_checkpoint(const fs::path& path) {
  strategy_->barrier("save_checkpoint");
  if (!is_global_zero()) return;
  for (const auto& logger : parts_.loggers) logger->after_save_checkpoint(path);
}

}  // namespace polyphony::train
