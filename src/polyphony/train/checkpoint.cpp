// The state of a fit as a checkpoint in Lightning's layout, and back.
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {
namespace fs = std::filesystem;
namespace {

using tensor::Value;

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
  const Value* value = checkpoint.find(key);
  if (value != nullptr) return *value;
  throw DataError(fmt::format("{}: the checkpoint has no '{}'", path.string(), key),
                  "give a checkpoint that polyphony saved during a fit");
}

}  // namespace

fs::path best_checkpoint(const fs::path& checkpoint_or_run) {
  if (!fs::is_directory(checkpoint_or_run)) return checkpoint_or_run;
  const fs::path last = checkpoint_or_run / "checkpoints" / "last.ckpt";
  if (fs::exists(last)) {
    const Value checkpoint = tensor::load_archive(last);
    for (const auto& [key, state] : part(checkpoint, "callbacks", last).entries()) {
      const Value* best = state.find("best_model_path");
      if (best != nullptr && !best->as_string().empty()) return best->as_string();
    }
  }
  throw DataError(
      checkpoint_or_run.string() + ": no best checkpoint is known in this run's directory",
      "train it with a ModelCheckpoint and save_last: true, or name a .ckpt file");
}

NamedTensors load_state_dict(const fs::path& checkpoint) {
  return tensors_of(part(tensor::load_archive(checkpoint), "state_dict", checkpoint));
}

Value Trainer::snapshot() const {
  Value callbacks = Value::dict();
  for (const auto& callback : parts_->callbacks) {
    if (!callback->state_key().empty()) callbacks.set(callback->state_key(), callback->state());
  }
  Value loop = Value::dict();
  loop.set("batch", Value(position_.batch));
  loop.set("loss_sum", Value(position_.loss_sum));
  loop.set("rows", Value(position_.rows));
  Value counts = Value::list();
  for (const std::int64_t count : parts_->task.metric_state(Stage::kTrain))
    counts.append(Value(count));
  loop.set("train_metrics", std::move(counts));
  loop.set("rng", Value(tensor::generator_state()));
  loop.set("validated", Value(position_.validated));

  Value checkpoint = Value::dict();
  checkpoint.set("epoch", Value(position_.epoch));
  checkpoint.set("global_step", Value(position_.global_step));
  checkpoint.set("pytorch-lightning_version", Value(std::string("1.9.5")));
  checkpoint.set("state_dict", named(parts_->task.state()));
  checkpoint.set("loops", std::move(loop));
  checkpoint.set("callbacks", std::move(callbacks));
  Value optimizers = Value::list();
  optimizers.append(named(parts_->optimizer.state()));
  checkpoint.set("optimizer_states", std::move(optimizers));
  checkpoint.set("lr_schedulers", Value::list());
  checkpoint.set("hyper_parameters", hyper_parameters_);
  return checkpoint;
}

void Trainer::save_checkpoint(const fs::path& path) const {
  tensor::save_archive(path, snapshot());
}

void Trainer::restore(const fs::path& path) {
  const Value checkpoint = tensor::load_archive(path);
  parts_->task.load_state(tensors_of(part(checkpoint, "state_dict", path)), path.string());
  parts_->optimizer.load_state(
      tensors_of(part(checkpoint, "optimizer_states", path).items().at(0)));
  const Value& loop = part(checkpoint, "loops", path);
  position_.epoch = part(checkpoint, "epoch", path).as_int();
  position_.global_step = part(checkpoint, "global_step", path).as_int();
  position_.batch = part(loop, "batch", path).as_int();
  position_.loss_sum = part(loop, "loss_sum", path).as_float();
  position_.rows = part(loop, "rows", path).as_int();
  std::vector<std::int64_t> counts;
  for (const Value& count : part(loop, "train_metrics", path).items())
    counts.push_back(count.as_int());
  parts_->task.load_metric_state(Stage::kTrain, counts);
  const Value& callbacks = part(checkpoint, "callbacks", path);
  for (const auto& callback : parts_->callbacks) {
    const Value* state = callbacks.find(callback->state_key());
    if (state != nullptr) callback->load_state(*state);
  }
  tensor::set_generator_state(part(loop, "rng", path).as_tensor());
  if (part(loop, "validated", path).as_bool()) {
    ++position_.epoch;
    position_.batch = 0;
  }
}

}  // namespace polyphony::train
