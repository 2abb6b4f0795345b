#include <polyphony/train/loops/fit_checkpoint.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/loops/last_step.h>
#include <polyphony/train/loops/resume_check.h>
#include <polyphony/train/loops/resume_ranks.h>
#include <polyphony/train/loops/resume_rates.h>

namespace polyphony::train {
namespace fs = std::filesystem;
namespace {

using tensor::Value;

constexpr const char* kExact = "polyphony";  // our own key, which Lightning leaves alone

Value named(const tensor::NamedTensors& tensors) {
  Value dict = Value::dict();
  for (const auto& [name, tensor] : tensors) dict.set(name, Value(tensor));
  return dict;
}

Value threads_in_force() {
  const tensor::Threads threads = tensor::current_threads();
  Value value = Value::dict();
  value.set("kernels", Value(std::int64_t{threads.kernels}));
  value.set("blas", Value(std::int64_t{threads.blas}));
  return value;
}

/// @param saved  null in checkpoints of before threads were measured
void restore_threads(const Value* saved) {
  if (saved == nullptr) return;
  const tensor::Threads threads = {static_cast<int>(saved->at("kernels").as_int()),
                                   static_cast<int>(saved->at("blas").as_int())};
  if (tensor::resume_threads(threads)) inform("as before: {}", tensor::describe_compute());
}

/// How rows were dealt; checkpoints of before it was kept say only to how many processes.
Dealing dealing_before(const TrainerState& state, const Value& exact) {
  if (const Value* saved = exact.find("dealing")) return dealing_at(*saved);
  Dealing dealing = dealing_of(state);
  dealing.world = std::ssize(exact.at("ranks").items());
  return dealing;
}

/// Where the interrupted epoch stands; nullopt between epochs, and where its batch says it all.
std::optional<data::EpochPlace> place_before(const TrainerState& state, const Value& exact,
                                             const Dealing& before) {
  if (state.progress.point == Point::kEpochStart) return std::nullopt;
  if (const Value* saved = exact.find("epoch")) return place_at(*saved);
  if (before == dealing_of(state)) return std::nullopt;
  data::EpochPlace place = state.train_loader->place(0, state.num_training_batches);
  place.order.world = before.world;
  place.end = place.rows;
  place.taken = state.progress.batch * place.order.step();
  return place;
}

void print_lines(const TrainerState& state, const std::vector<std::string>& lines) {
  if (!state.collective().is_global_zero()) return;
  for (const std::string& line : lines) inform("resumed: {}", line);
}

Value callback_states(const TrainerState& state, const LastStep* last) {
  Value states = Value::dict();
  for (std::size_t i = 0; i < state.parts.callbacks.size(); ++i) {
    const Callback& callback = *state.parts.callbacks[i];
    if (callback.state_key().empty()) continue;
    states.set(callback.state_key(), last == nullptr
                                         ? callback.state_dict()
                                         : callback.state_after_failure(last->callback_state(i)));
  }
  return states;
}

Value schedule_states(const TrainerState& state, const LastStep* last) {
  Value states = Value::list();
  if (last != nullptr && last->schedule_state()) {
    states.append(*last->schedule_state());
  } else if (state.schedule() != nullptr) {
    states.append(state.schedule()->state_dict());
  }
  return states;
}

/// What each process knows, in the order of ranks; null for those that could not be asked.
Value rank_states(TrainerState& state, const LastStep* last) {
  if (last == nullptr) return state.collective().gather(own_state(state));
  Value states = Value::list();
  states.append(last->own_state());
  for (int rank = 1; rank < state.collective().world_size(); ++rank) states.append(Value());
  return states;
}

Value exact_state(TrainerState& state, const FitProgress& progress, const LastStep* last) {
  Value exact = Value::dict();
  exact.set("position", position_of(progress));
  exact.set("loss", Value(last == nullptr ? state.newest_loss : last->loss()));
  if (last != nullptr) exact.set("should_stop", Value(last->should_stop()));
  exact.set("threads", threads_in_force());
  exact.set("dealing", value_of(dealing_of(state)));
  if (progress.point != Point::kEpochStart) {
    exact.set("epoch",
              value_of(state.train_loader->place(progress.batch, state.num_training_batches)));
  }
  exact.set("ranks", rank_states(state, last));
  return exact;
}

}  // namespace

Value dump_checkpoint(TrainerState& state, Contents contents, const LastStep* last) {
  const FitProgress progress = last == nullptr ? state.progress : last->progress();
  Value checkpoint = Value::dict();
  checkpoint.set("epoch", Value(progress.epoch));
  checkpoint.set("global_step", Value(progress.global_step));
  checkpoint.set("pytorch-lightning_version", Value(std::string("1.9.5")));
  checkpoint.set("state_dict", named(state.task->state()));
  checkpoint.set("loops", loops_of(progress, state.num_val_batches));
  if (contents == Contents::kEverything) {
    checkpoint.set("callbacks", callback_states(state, last));
    Value optimizers = Value::list();
    optimizers.append(state.optimizer().state_dict());
    checkpoint.set("optimizer_states", std::move(optimizers));
    checkpoint.set("lr_schedulers", schedule_states(state, last));
    checkpoint.set(kExact, exact_state(state, progress, last));
  }
  if (state.parts.hyper_parameters.kind() == Value::Kind::kDict) {
    checkpoint.set("hparams_name", Value(std::string("kwargs")));
    checkpoint.set("hyper_parameters", state.parts.hyper_parameters);
  }
  for (const auto& callback : state.parts.callbacks)
    callback->on_save_checkpoint(state.trainer, checkpoint);
  state.task->on_save_checkpoint(checkpoint);
  return checkpoint;
}

void restore_model_and_callbacks(TrainerState& state, const Value& checkpoint,
                                 const fs::path& path) {
  for (const auto& callback : state.parts.callbacks) {
    callback->on_load_checkpoint(state.trainer, checkpoint);
  }
  state.task->on_load_checkpoint(checkpoint);
  state.task->load_state(tensors_of(entry_of(checkpoint, "state_dict", path)), path.string());
  const Value& states = entry_of(checkpoint, "callbacks", path);
  for (const auto& callback : state.parts.callbacks) {
    const Value* saved =
        callback->state_key().empty() ? nullptr : states.find(callback->state_key());
    if (saved != nullptr) callback->load_state_dict(*saved);
  }
}

at::Tensor restore_training_state(TrainerState& state, const Value& checkpoint,
                                  const fs::path& path) {
  const std::vector<Value>& optimizers = entry_of(checkpoint, "optimizer_states", path).items();
  const std::vector<Value>& schedules = entry_of(checkpoint, "lr_schedulers", path).items();
  if (optimizers.size() != 1) {
    throw DataError(
        fmt::format("{}: {} optimizers in the checkpoint, not 1", path.string(), optimizers.size()),
        "resume with the configuration that the checkpoint was saved with");
  }
  const Value* schedule = schedules.empty() ? nullptr : &schedules.front();
  const Value* exact = checkpoint.find(kExact);
  if (exact == nullptr) {
    state.progress = progress_of(checkpoint);
    print_lines(state, restore_rates(state, optimizers.front(), schedule, state.total_steps));
    return {};
  }
  check_exact_state(*exact, path);
  restore_threads(exact->find("threads"));
  state.progress = progress_at(exact->at("position"));
  if (const Value* loss = exact->find("loss")) state.add_loss(loss->as_float());
  const Value* stopping = exact->find("should_stop");
  if (stopping != nullptr && stopping->as_bool()) state.should_stop = true;
  const Dealing before = dealing_before(state, *exact);
  print_lines(state, resume_epoch(state, before, place_before(state, *exact, before)));
  print_lines(state, restore_rates(state, optimizers.front(), schedule, before.total_steps));
  return restore_own_state(state, exact->at("ranks").items());
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

}  // namespace polyphony::train
