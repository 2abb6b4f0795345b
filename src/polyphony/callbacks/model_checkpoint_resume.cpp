// A ModelCheckpoint's state, and what becomes of checkpoints of the run that a fit goes on from.
#include <algorithm>
#include <filesystem>

#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {
namespace fs = std::filesystem;
using tensor::Value;

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
  for (const auto& [path, score] : now_.best_k) kept.set(path, score_value(score));
  Value state = Value::dict();
  state.set("monitor", options_.monitor ? Value(*options_.monitor) : Value());
  state.set("best_model_score", score_value(now_.best_score));
  state.set("best_model_path", Value(now_.best_path));
  state.set("current_score", score_value(now_.current_score));
  state.set("dirpath", Value(directory_));
  state.set("best_k_models", std::move(kept));
  state.set("kth_best_model_path", Value(now_.kth_best_path));
  state.set("kth_value", score_value(now_.kth_value));
  state.set("last_model_path", Value(now_.last_path));
  state.set("last_global_step_saved", Value(now_.last_global_step_saved));
  state.set("ranked_step", Value(ranked_step_));
  state.set("files", files_.state());
  return state;
}

namespace {

/// Says so if the checkpoint has rankings, and none by this one's monitor and mode.
void tell_new_ranking(const Value& checkpoint, const std::string& key) {
  const Value* states = checkpoint.find("callbacks");
  if (states == nullptr || states->find(key) != nullptr) return;
  for (const auto& [other, state] : states->entries()) {
    if (!other.as_string().starts_with("ModelCheckpoint{")) continue;
    inform(
        "checkpoints are ranked anew: the best by another monitor, mode or interval stay where "
        "they are ({} in place of {})",
        key, other.as_string());
    return;
  }
}

bool is_last(const fs::path& file) {
  const std::string stem = file.stem();
  return stem == "last" || stem.starts_with("last-v");
}

}  // namespace

void ModelCheckpoint::on_load_checkpoint(train::Trainer& trainer, const Value& checkpoint) {
  lock(trainer);
  std::error_code error;
  resumed_from_ = fs::canonical(trainer.resumed_from(), error);
  const fs::path below = resumed_from_.lexically_relative(directory_);
  const bool mine = !below.empty() && *below.begin() != "..";
  in_place_ = trainer.collective().rank_zero_says(mine);
  if (trainer.is_global_zero()) tell_new_ranking(checkpoint, state_key());
  // Known without a state, too: that of another monitor is none of this callback's.
  if (in_place_ && is_last(resumed_from_)) now_.last_path = resumed_from_.string();
  // It does not list itself.
  if (in_place_ && trainer.is_global_zero()) {
    files_.add(resumed_from_, file_fingerprint(resumed_from_));
  }
}

void ModelCheckpoint::load_state_dict(const Value& state) {
  const auto text = [&](const char* key) {
    const Value* value = state.find(key);
    const bool given = value != nullptr && value->kind() == Value::Kind::kString;
    return given ? value->as_string() : std::string();
  };
  earlier_directory_ = text("dirpath");
  if (const Value* files = state.find("files")) {
    earlier_files_ = train::listed_files(*files);
    if (in_place_) files_.load_state(*files);
    // Newer than the list that lies in it.
    if (in_place_) files_.add(resumed_from_, file_fingerprint(resumed_from_));
  }
  now_.best_path = text("best_model_path");
  now_.kth_best_path = text("kth_best_model_path");
  now_.last_path = in_place_ ? moved(text("last_model_path")) : "";
  const auto number = [&](const char* key, std::int64_t otherwise) {
    const Value* value = state.find(key);
    return value == nullptr ? otherwise : value->as_int();
  };
  now_.last_global_step_saved = number("last_global_step_saved", now_.last_global_step_saved);
  ranked_step_ = number("ranked_step", -1);
  now_.best_score = score_of(state.at("best_model_score"));
  if (const Value* score = state.find("current_score")) now_.current_score = score_of(*score);
  if (const Value* value = state.find("kth_value")) {
    now_.kth_value = score_of(*value).value_or(now_.kth_value);
  }
  now_.best_k.clear();
  if (const Value* kept = state.find("best_k_models")) {
    for (const auto& [path, score] : kept->entries()) {
      now_.best_k.emplace_back(path.as_string(), *score_of(score));
    }
  }
}

/// Where a file of the earlier run's directory lies now: the directory is the one that the
/// checkpoint was loaded from, whatever it was called then.
std::string ModelCheckpoint::moved(const std::string& path) const {
  const fs::path name = fs::path(path).lexically_relative(earlier_directory_);
  if (path.empty() || name.empty() || *name.begin() == "..") return path;
  return ((in_place_ ? fs::path(directory_) : resumed_from_.parent_path()) / name).string();
}

ModelCheckpoint::Earlier ModelCheckpoint::earlier(const std::string& path) const {
  Earlier file{moved(path), std::nullopt};
  std::error_code error;
  if (!fs::exists(file.path, error)) file.path = path;
  const auto listed =
      earlier_files_.find(fs::path(path).lexically_relative(earlier_directory_).string());
  if (listed != earlier_files_.end()) file.written = listed->second;
  return file;
}

/// Whether it is still what was saved. @param whole  look at its bytes, not at its size alone
bool ModelCheckpoint::is_there(const Earlier& file, bool whole) const {
  std::error_code error;
  if (!fs::is_regular_file(file.path, error)) return false;
  if (!file.written) return true;
  if (fs::file_size(file.path, error) != file.written->size || error) return false;
  return !whole || file_fingerprint(file.path) == *file.written;
}

namespace {

/// A file under a second name; if the file system has none, a copy if `copies`.
bool bring_file(const fs::path& from, const fs::path& to, bool copies) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  fs::create_hard_link(fs::canonical(from, error), to, error);
  if (!error || !copies) return !error;
  const fs::path unfinished = to.string() + ".tmp-copy";
  fs::copy_file(from, unfinished, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(unfinished, to, error);
  if (!error) return true;
  warn("{}: cannot be copied to {}: {}; it is used where it lies", from.string(), to.string(),
       error.message());
  fs::remove(unfinished, error);
  return false;
}

fs::path as_safetensors(const fs::path& path) {
  return fs::path(path).replace_extension(".safetensors");
}

}  // namespace

/// Brings a ranked file of another directory into this run's. @return its place from now on
std::string ModelCheckpoint::bring(const Earlier& file, bool best) {
  const fs::path name = fs::path(file.path).filename();
  fs::path to = fs::path(directory_) / name;
  for (int version = 1; taken(to.string(), ""); ++version) {
    to.replace_filename(
        fmt::format("{}-v{}{}", name.stem().string(), version, name.extension().string()));
  }
  if (!bring_file(file.path, to, best)) return file.path;
  files_.add(to, file.written ? *file.written : file_fingerprint(to));
  const fs::path weights = as_safetensors(file.path);
  std::error_code error;
  if (options_.safetensors && fs::is_regular_file(weights, error) &&
      bring_file(weights, as_safetensors(to), best)) {
    files_.add(as_safetensors(to), file_fingerprint(as_safetensors(to)));
  }
  return to.string();
}

/// A ranked checkpoint's place from now on; "" if it is lost, which is said.
std::string ModelCheckpoint::adopt(const std::string& path, bool best, bool stays) {
  const Earlier file = earlier(path);
  if (is_there(file, best)) {
    const bool here = absolute_directory(fs::path(file.path).parent_path()) == directory_;
    return in_place_ || stays || here ? file.path : bring(file, best);
  }
  std::error_code error;
  warn("{}: {}: it is out of the ranking{}", file.path,
       fs::exists(file.path, error) ? "is not the checkpoint that was saved there"
                                    : "the ranked checkpoint is gone",
       options_.monitor ? " by " + *options_.monitor : "");
  return "";
}

/// The best and the worst of what is ranked.
void ModelCheckpoint::rank_anew() {
  const auto beats = [&](const auto& a, const auto& b) {
    return better(options_.mode, a.second, b.second);
  };
  const auto loses = [&](const auto& a, const auto& b) {
    return better(options_.mode, b.second, a.second);
  };
  auto& kept = now_.best_k;
  const auto best = std::min_element(kept.begin(), kept.end(), beats);
  now_.best_path = best == kept.end() ? "" : best->first;
  now_.best_score = best == kept.end() ? std::nullopt : std::optional(best->second);
  const bool full = options_.save_top_k > 0 && std::ssize(kept) >= options_.save_top_k;
  const auto kth = std::min_element(kept.begin(), kept.end(), loses);
  now_.kth_best_path = full ? kth->first : "";
  now_.kth_value = full ? kth->second : static_cast<float>(worst(options_.mode));
}

/// What was ranked before stays ranked, as far as it is still there; rank 0 looks.
void ModelCheckpoint::adopt_ranking(train::Trainer& trainer) {
  const bool dev_run = trainer.options().fast_dev_run.count > 0;
  if (!options_.monitor) {
    std::string newest = now_.best_path;
    if (!newest.empty() && trainer.is_global_zero()) newest = adopt(newest, true, true);
    now_.best_path = trainer.collective().broadcast(newest);
    return;
  }
  auto& kept = now_.best_k;
  const auto known = [&](const auto& entry) { return entry.first == now_.best_path; };
  if (!now_.best_path.empty() && now_.best_score && std::none_of(kept.begin(), kept.end(), known)) {
    kept.emplace_back(now_.best_path, *now_.best_score);
  }
  if (kept.empty()) return;
  std::vector<std::size_t> order(kept.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return better(options_.mode, kept[a].second, kept[b].second);
  });
  std::vector<std::string> places(kept.size());
  bool found = false;
  for (const std::size_t i : order) {
    if (trainer.is_global_zero()) places[i] = adopt(kept[i].first, !found, dev_run);
    places[i] = trainer.collective().broadcast(places[i]);
    found = found || !places[i].empty();
  }
  for (std::size_t i = kept.size(); i-- > 0;) {
    kept[i].first = places[i];
    if (places[i].empty()) kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i));
  }
  rank_anew();
  if (trainer.is_global_zero() && kept.size() < places.size()) {
    warn("{}", kept.empty() ? "no ranked checkpoint is left: the next one is the best"
                            : fmt::format("the best is now {}", now_.best_path));
  }
}

}  // namespace polyphony::callbacks
