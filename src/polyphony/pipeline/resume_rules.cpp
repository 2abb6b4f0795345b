#include <polyphony/pipeline/resume_rules.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include <polyphony/config/bind/target.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/record/config_leaves.h>

namespace polyphony::pipeline {
namespace {

struct Rule {
  std::string_view section;  ///< the key, or what is above it
  Verdict verdict;
};

// docs/checkpoints.md tells these lists to users.
constexpr auto kTold = Verdict::kTold;
constexpr auto kIgnored = Verdict::kIgnored;
constexpr Rule kRules[] = {
    {"mode", kIgnored},
    {"ckpt_path", kIgnored},
    {"resume", kIgnored},
    {"resume_from", kIgnored},
    {"resumed_step", kIgnored},
    {"training_arguments.resume_from_checkpoint", kIgnored},
    {"run_name", kTold},
    {"num_threads", kTold},
    {"logger", kTold},
    {"recording", kTold},
    {"test_after_train", kTold},
    {"split.test", kTold},
    {"split.predict", kTold},
    {"data_path.test", kTold},
    {"data_path.predict", kTold},
    {"embeddings.directory", kTold},
    {"embeddings.limit_gb", kTold},
    {"loading.workers", kTold},
    {"loading.prefetch", kTold},
    {"loading.eval_batch_size", kTold},
    {"workers_ratio", kTold},
    {"use_all_workers", kTold},
    {"connected_dir", kTold},
    {"submission_file_name", kTold},
    {"submission_name", kTold},
    {"logit_name", kTold},
    {"target_column_name", kTold},
    {"monitor", kTold},
    {"metric", kTold},
    {"save_predictions", kTold},
    {"output_hidden_states", kTold},
    {"trainer.max_epochs", kTold},
    {"trainer.max_steps", kTold},
    {"trainer.max_time", kTold},
    {"trainer.min_epochs", kTold},
    {"trainer.min_steps", kTold},
    {"trainer.limit_val_batches", kTold},
    {"trainer.limit_test_batches", kTold},
    {"trainer.limit_predict_batches", kTold},
    {"trainer.fast_dev_run", kTold},
    {"trainer.num_sanity_val_steps", kTold},
    {"trainer.check_val_every_n_epoch", kTold},
    {"trainer.val_check_interval", kTold},
    {"trainer.log_every_n_steps", kTold},
    {"trainer.deterministic", kTold},
    {"trainer.benchmark", kTold},
    {"trainer.detect_anomaly", kTold},
    {"trainer.enable_checkpointing", kTold},
    {"trainer.enable_progress_bar", kTold},
    {"trainer.enable_model_summary", kTold},
    {"trainer.default_root_dir", kTold},
    {"trainer.accelerator", kTold},
    {"trainer.devices", kTold},
    {"trainer.strategy", kTold},
    {"trainer.num_nodes", kTold},
    {"trainer.dist_timeout", kTold},
    {"trainer.profiler", kTold},
    {"training_arguments.output_dir", kTold},
    {"training_arguments.overwrite_output_dir", kTold},
    {"training_arguments.num_train_epochs", kTold},
    {"training_arguments.max_steps", kTold},
    {"training_arguments.evaluation_strategy", kTold},
    {"training_arguments.eval_strategy", kTold},
    {"training_arguments.eval_steps", kTold},
    {"training_arguments.save_strategy", kTold},
    {"training_arguments.save_steps", kTold},
    {"training_arguments.save_total_limit", kTold},
    {"training_arguments.logging_strategy", kTold},
    {"training_arguments.logging_steps", kTold},
    {"training_arguments.logging_dir", kTold},
    {"training_arguments.load_best_model_at_end", kTold},
    {"training_arguments.metric_for_best_model", kTold},
    {"training_arguments.greater_is_better", kTold},
    {"training_arguments.per_device_eval_batch_size", kTold},
    {"training_arguments.dataloader_num_workers", kTold},
    {"training_arguments.use_cpu", kTold},
    {"training_arguments.disable_tqdm", kTold},
    {"training_arguments.run_name", kTold},
    {"training_arguments.report_to", kTold},
};

/// Callbacks that change what is learnt. Others, the user's own too, watch, save or stop a run.
constexpr std::string_view kTraining[] = {
    "GradientAccumulationScheduler",
    "StochasticWeightAveraging",
    "WeightAveraging",
    "BackboneFinetuning",
    "ModelPruning",
};

const std::string* value_of(const Leaves& leaves, std::string_view key) {
  for (const auto& [name, value] : leaves) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool below(std::string_view key, std::string_view section) {
  return key.starts_with(section) && (key.size() == section.size() || key[section.size()] == '.');
}

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('.') + 1); }

/// "callbacks.NAME" of a key below it; empty for another.
std::string_view callback_of(std::string_view key) {
  constexpr std::string_view kCallbacks = "callbacks.";
  if (!key.starts_with(kCallbacks)) return {};
  return key.substr(0, key.find('.', kCallbacks.size()));
}

bool watches(const Leaves& leaves, std::string_view callback) {
  const std::string* name = value_of(leaves, std::string(callback) + "._target_");
  if (name == nullptr) return true;  // null, or not there
  return std::find(std::begin(kTraining), std::end(kTraining), last_part(*name)) ==
         std::end(kTraining);
}

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool same(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto left = number(a);
  const auto right = number(b);
  return left && right && *left == *right;
}

/// The default of an option that a class or the root has; nullopt where it is not known.
std::optional<std::string> default_of(std::string_view key, const Leaves& leaves,
                                      const std::vector<config::FieldDoc>& root) {
  std::vector<config::FieldDoc> docs = root;
  std::string_view rest = key;
  for (std::size_t dot = key.rfind('.'); dot != std::string_view::npos && dot > 0;
       dot = key.rfind('.', dot - 1)) {
    const std::string* target = value_of(leaves, std::string(key.substr(0, dot)) + "._target_");
    if (target == nullptr) continue;
    const config::Target found = config::find_target(*target);
    if (found.entry == nullptr) return std::nullopt;
    config::Fields fields;
    found.entry->describe(fields);
    docs = fields.docs();
    rest = key.substr(dot + 1);
    break;
  }
  while (true) {
    const std::string_view name = rest.substr(0, rest.find('.'));
    const auto doc = std::find_if(docs.begin(), docs.end(), [&](const config::FieldDoc& field) {
      return field.name == name;
    });
    if (doc == docs.end()) return std::nullopt;
    if (name.size() == rest.size()) {
      if (doc->required || doc->default_text.empty()) return std::nullopt;
      const auto parsed =
          record::config_leaves(config::parse_yaml("x: " + doc->default_text, "default"));
      return parsed.size() == 1 ? std::optional(parsed[0].value) : std::nullopt;
    }
    rest.remove_prefix(name.size() + 1);
    docs = std::vector<config::FieldDoc>(doc->fields);
  }
}

/// Whether it is where data lie.
bool is_data_path(const std::string& key) {
  const std::string_view name = last_part(key);
  if (below(key, "data_path")) return true;
  if (!below(key, "dataset") && !below(key, "dataset_module")) return false;
  if (name.ends_with("_column") || name.ends_with("column_name")) return false;
  constexpr std::string_view kPlaces[] = {"manifest", "path", "dir", "directory", "folder", "root"};
  return std::any_of(std::begin(kPlaces), std::end(kPlaces), [&](std::string_view place) {
    return name == place || name.ends_with("_" + std::string(place));
  });
}

}  // namespace

std::string Change::text() const {
  return fmt::format("{}: {} instead of {}", key, now.value_or("not given"),
                     before.value_or("not given"));
}

std::vector<Change> changes_between(const Leaves& before, const Leaves& now,
                                    const std::vector<config::FieldDoc>& docs) {
  std::vector<Change> changes;
  const auto add = [&](const std::string& key, const std::string* old, const std::string* current) {
    if (old != nullptr && current != nullptr && same(*old, *current)) return;
    if (old == nullptr || current == nullptr) {
      const std::string& given = old == nullptr ? *current : *old;
      const auto otherwise = default_of(key, old == nullptr ? now : before, docs);
      if (otherwise && same(*otherwise, given)) return;
      if (!otherwise && (given == "{}" || given == "[]" || given == "null")) return;
    }
    Change change;
    change.key = key;
    if (old != nullptr) change.before = *old;
    if (current != nullptr) change.now = *current;
    changes.push_back(std::move(change));
  };
  for (const auto& [key, value] : before) add(key, &value, value_of(now, key));
  for (const auto& [key, value] : now) {
    if (value_of(before, key) == nullptr) add(key, nullptr, &value);
  }
  return changes;
}

Verdict verdict_on(const std::string& key, const Leaves& before, const Leaves& now) {
  if (const std::string_view callback = callback_of(key); !callback.empty()) {
    return watches(before, callback) && watches(now, callback) ? Verdict::kTold : Verdict::kRefused;
  }
  for (const Rule& rule : kRules) {
    if (below(key, rule.section)) return rule.verdict;
  }
  return is_data_path(key) ? Verdict::kTold : Verdict::kRefused;
}

}  // namespace polyphony::pipeline
