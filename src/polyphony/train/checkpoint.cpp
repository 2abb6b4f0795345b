#include <polyphony/train/checkpoint.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/safetensors.h>

namespace polyphony::train {
namespace fs = std::filesystem;
using tensor::NamedTensors;
using tensor::Value;

const Value& entry_of(const Value& checkpoint, const std::string& key, const fs::path& path) {
  const Value* value = checkpoint.kind() == Value::Kind::kDict ? checkpoint.find(key) : nullptr;
  if (value != nullptr) return *value;
  throw DataError(fmt::format("{}: the checkpoint has no '{}'", path.string(), key),
                  "give a checkpoint that was saved whole, not with save_weights_only");
}

NamedTensors tensors_of(const Value& dict) {
  NamedTensors tensors;
  for (const auto& [name, value] : dict.entries()) {
    tensors.emplace_back(name.as_string(), value.as_tensor());
  }
  return tensors;
}

namespace {

/// Of last.ckpt, last-v1.ckpt …, the one that was written last; empty if there is none.
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
/// wherever that was moved or copied to. Empty if the state has none.
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
    for (const auto& [key, state] : entry_of(checkpoint, "callbacks", last).entries()) {
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
  return tensors_of(entry_of(tensor::load_archive(checkpoint), "state_dict", checkpoint));
}

}  // namespace polyphony::train
