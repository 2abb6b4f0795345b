#include <polyphony/callbacks/model_checkpoint.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <regex>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/callbacks/monitor.h>
#include <polyphony/config/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {
namespace fs = std::filesystem;

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
  f("auto_insert_metric_name", auto_insert_metric_name, "write epoch=3 for {epoch}");
  f("every_n_epochs", every_n_epochs, "epochs between checkpoints; 0: never");
  f.check("every_n_epochs", every_n_epochs >= 0, "at least 0");
  f("verbose", verbose, "print each save");
}

ModelCheckpoint::ModelCheckpoint(Options options) : options_(std::move(options)) {}

void ModelCheckpoint::on_fit_start(train::Trainer& trainer) {
  directory_ = options_.dirpath ? *options_.dirpath : trainer.checkpoint_directory().string();
}

std::string ModelCheckpoint::format_name(const std::string& pattern,
                                         const train::MetricValues& values, bool insert_names) {
  static const std::regex kGroup(R"(\{([^{}:]+)(?::([^{}]*))?\})");
  std::string name;
  auto begin = pattern.cbegin();
  for (std::sregex_iterator it(pattern.begin(), pattern.end(), kGroup), end; it != end; ++it) {
    const std::smatch& match = *it;
    name.append(begin, match[0].first);
    begin = match[0].second;
    const std::string key = match[1];
    const auto found = std::find_if(values.begin(), values.end(),
                                    [&](const auto& item) { return item.first == key; });
    const double value = found == values.end() ? 0.0 : found->second;
    if (insert_names) name += key + "=";
    const bool counts = key == "epoch" || key == "step";
    const std::string spec = match[2].matched ? match[2].str() : "";
    try {
      name += counts
                  ? fmt::format(fmt::runtime("{:" + spec + "}"), static_cast<std::int64_t>(value))
                  : fmt::format(fmt::runtime("{:" + (spec.empty() ? ".4f" : spec) + "}"), value);
    } catch (const fmt::format_error& error) {
      throw ConfigError(fmt::format("ModelCheckpoint.filename: '{}': {}", pattern, error.what()),
                        "write a format as Python's, e.g. {epoch:02d} or {val_loss:.3f}");
    }
  }
  name.append(begin, pattern.cend());
  return name;
}

std::string ModelCheckpoint::next_path(const train::Trainer& trainer) const {
  train::MetricValues values = trainer.callback_metrics();
  values.emplace_back("epoch", static_cast<double>(trainer.current_epoch()));
  values.emplace_back("step", static_cast<double>(trainer.global_step()));
  const std::string name = format_name(options_.filename.value_or("{epoch}-{step}"), values,
                                       options_.auto_insert_metric_name || !options_.filename);
  const fs::path directory(directory_);
  fs::path path = directory / (name + ".ckpt");
  for (int version = 1; fs::exists(path); ++version) {
    path = directory / fmt::format("{}-v{}.ckpt", name, version);
  }
  return path.string();
}

void ModelCheckpoint::save(train::Trainer& trainer, const std::string& path) {
  trainer.save_checkpoint(path);
  if (options_.verbose) fmt::print("checkpoint: {}\n", path);
}

void ModelCheckpoint::update_best() {
  best_path_.clear();
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const bool first = best_path_.empty();
    if (first || better(options_.mode, kept_[i].second, *best_score())) best_path_ = kept_[i].first;
  }
}

void ModelCheckpoint::save_top(train::Trainer& trainer, double score) {
  if (std::isnan(score)) score = worst(options_.mode);  // as Lightning stores it
  std::string dropped;
  if (options_.save_top_k != -1 && kept_.size() >= static_cast<std::size_t>(options_.save_top_k)) {
    auto lowest = std::min_element(kept_.begin(), kept_.end(), [&](const auto& a, const auto& b) {
      return better(options_.mode, b.second, a.second);
    });
    if (lowest == kept_.end() || !better(options_.mode, score, lowest->second)) return;
    dropped = lowest->first;
    kept_.erase(lowest);
  }
  const std::string path = next_path(trainer);
  kept_.emplace_back(path, score);
  update_best();
  save(trainer, path);
  if (!dropped.empty()) fs::remove(dropped);
}

void ModelCheckpoint::save_newest(train::Trainer& trainer) {
  const std::string path = next_path(trainer);
  const std::string old = options_.save_top_k == 1 && !kept_.empty() ? kept_.front().first : "";
  if (options_.save_top_k == 1) kept_.clear();
  kept_.emplace_back(path, 0.0);
  best_path_ = path;
  save(trainer, path);
  if (!old.empty() && old != path) fs::remove(old);
}

void ModelCheckpoint::on_validation_end(train::Trainer& trainer) {
  const bool due =
      options_.every_n_epochs > 0 && (trainer.current_epoch() + 1) % options_.every_n_epochs == 0;
  if (!due) return;
  if (options_.save_top_k != 0) {
    if (options_.monitor) {
      save_top(trainer, *monitored(trainer, *options_.monitor, "ModelCheckpoint", true));
    } else {
      save_newest(trainer);
    }
  }
  if (!options_.save_last) return;
  last_path_ = (fs::path(directory_) / "last.ckpt").string();
  save(trainer, last_path_);
}

std::optional<double> ModelCheckpoint::best_score() const {
  for (const auto& [path, score] : kept_) {
    if (path == best_path_) return score;
  }
  return std::nullopt;
}

std::string ModelCheckpoint::state_key() const {
  return fmt::format("ModelCheckpoint{{'monitor': {}, 'mode': '{}', 'every_n_epochs': {}}}",
                     options_.monitor ? "'" + *options_.monitor + "'" : "None",
                     config::show(options_.mode), options_.every_n_epochs);
}

tensor::Value ModelCheckpoint::state() const {
  using tensor::Value;
  Value kept = Value::dict();
  for (const auto& [path, score] : kept_) kept.set(path, Value(score));
  Value state = Value::dict();
  state.set("monitor", options_.monitor ? Value(*options_.monitor) : Value());
  const std::optional<double> best = best_score();
  state.set("best_model_score", best ? Value(*best) : Value());
  state.set("best_model_path", Value(best_path_));
  state.set("dirpath", Value(directory_));
  state.set("best_k_models", std::move(kept));
  state.set("last_model_path", Value(last_path_));
  return state;
}

void ModelCheckpoint::load_state(const tensor::Value& state) {
  if (state.at("dirpath").as_string() != directory_)
    return;  // a new place: begin anew, as Lightning
  best_path_ = state.at("best_model_path").as_string();
  last_path_ = state.at("last_model_path").as_string();
  kept_.clear();
  for (const auto& [path, score] : state.at("best_k_models").entries()) {
    kept_.emplace_back(path.as_string(), score.as_float());
  }
}

POLYPHONY_REGISTER(train::Callback, ModelCheckpoint, "polyphony.callbacks.ModelCheckpoint",
                   "saves the best checkpoints by a monitored metric after each validation")

}  // namespace polyphony::callbacks
