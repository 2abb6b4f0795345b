#include <polyphony/pipeline/resume_guard.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/version.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/base/notice.h>
#include <polyphony/record/config_leaves.h>
#include <polyphony/record/secrets.h>
#include <polyphony/train/trainer.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

using tensor::Value;

constexpr const char* kRun = "polyphony_run";  // in a checkpoint; Lightning leaves it alone
constexpr const char* kRows = "dataset.rows";
constexpr const char* kFiles = "dataset.files";

/// The variables in a text: "a" and "b.c" of "${a}/${b.c}".
std::vector<std::string> variables_in(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 2)) {
    const std::size_t end = text.find_first_of("}$", at + 2);
    if (end != std::string::npos && text[end] == '}')
      names.push_back(text.substr(at + 2, end - at - 2));
  }
  return names;
}

void add_variables(const std::map<std::string, std::string>& unresolved, const std::string& text,
                   std::set<std::string>& names) {
  for (const std::string& name : variables_in(text)) {
    if (!names.insert(name).second) continue;
    const auto found = unresolved.find(name);
    if (found != unresolved.end()) add_variables(unresolved, found->second, names);
  }
}

Leaves leaves_of(const config::Node& config) {
  Leaves leaves;
  for (const record::ConfigValue& leaf : record::config_leaves(config)) {
    leaves.emplace_back(leaf.key, leaf.value);
  }
  return leaves;
}

Value value_of(const Leaves& leaves) {
  Value dict = Value::dict();
  for (const auto& [key, text] : leaves) dict.set(key, Value(text));
  return dict;
}

Leaves leaves_at(const Value& dict) {
  Leaves leaves;
  for (const auto& [key, text] : dict.entries()) {
    leaves.emplace_back(key.as_string(), text.as_string());
  }
  return leaves;
}

const std::string* find(const Leaves& leaves, const std::string& key) {
  for (const auto& [name, value] : leaves) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string shape_of(const at::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

/// @throws ConfigError naming each change and how to allow it, where there is any
void refuse(const std::vector<Change>& changes) {
  if (changes.empty()) return;
  std::string text = "the checkpoint was trained with other options, which change what is learnt:";
  std::vector<std::string> keys;
  for (const Change& change : changes) {
    text += "\n  " + change.text();
    if (std::find(keys.begin(), keys.end(), change.key) == keys.end()) keys.push_back(change.key);
  }
  throw ConfigError(text, fmt::format("put them back; or, where the change is meant, say so: "
                                      "'resume.allow=[{}]'",
                                      fmt::join(keys, ",")));
}

/// Folders that relative paths of rows may start from: those of the dataset's own paths.
std::vector<fs::path> folders_of(const config::Node& dataset) {
  std::vector<fs::path> folders;
  for (const auto& [key, text] : leaves_of(dataset)) {
    std::error_code error;
    if (fs::is_directory(text, error)) folders.emplace_back(text);
    if (fs::is_regular_file(text, error)) folders.push_back(fs::path(text).parent_path());
  }
  folders.emplace_back(".");
  return folders;
}

}  // namespace

void ResumeOptions::describe(config::Fields& f) {
  f("allow", allow,
    "options that a run which goes on from a checkpoint may have changed, though they change what "
    "is learnt");
}

ResumeGuard::ResumeGuard(const Request& request, const config::Node& config,
                         std::vector<config::FieldDoc> docs, ResumeOptions options)
    : accepted_(request.continuation.accepted),
      docs_(std::move(docs)),
      options_(std::move(options)) {
  facts_.torch = TORCH_VERSION;
  facts_.directory = request.output_dir.string();
  const auto is_read = [&](const std::string& key) {
    const std::string top = key.substr(0, key.find('.'));
    return std::any_of(docs_.begin(), docs_.end(),
                       [&](const config::FieldDoc& doc) { return doc.name == top; });
  };
  for (auto& [key, text] : leaves_of(record::masked_config(config))) {
    keys_.insert(key);
    if (is_read(key)) facts_.config.emplace_back(key, text);
  }
  std::map<std::string, std::string> unresolved;
  for (const auto& [key, text] : leaves_of(request.config.config)) unresolved[key] = text;
  for (const auto& [key, text] : unresolved) add_variables(unresolved, text, from_[key]);
  keys_.insert({kRows, kFiles});
  check_allowed_names({});
}

/// A name may be a section, an option, or a variable.
/// @param more  options of the checkpoint; without them a name that no option has may be theirs
void ResumeGuard::check_allowed_names(const Leaves& more) const {
  std::set<std::string> known;
  const auto add = [&](const std::string& key) {
    for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1)) {
      known.insert(key.substr(0, dot));
    }
    known.insert(key);
  };
  for (const std::string& key : keys_) add(key);
  for (const auto& [key, text] : more) add(key);
  for (const std::string& name : options_.allow) {
    if (known.contains(name)) continue;
    const std::string near = base::nearest(name, {known.begin(), known.end()});
    throw ConfigError(fmt::format("resume.allow: '{}': the configuration has no such key", name),
                      near.empty() ? "name options as their dotted path, e.g. optimizer.lr"
                                   : fmt::format("did you mean {}?", near));
  }
}

void ResumeGuard::observe(const data::Dataset& train, const data::Dataset& val,
                          const config::Node& dataset, dist::Collective& collective) {
  facts_.classes = train.classes();
  std::string digests;
  if (collective.is_global_zero()) {
    const std::vector<fs::path> folders = folders_of(dataset);
    for (const auto& [split, rows] : {std::pair{"train", &train}, {"val", &val}}) {
      for (const auto& [key, digest] : data_digests(*rows, folders)) {
        digests += fmt::format("{} of {}\n{}\n", key, split, digest);
      }
    }
  }
  digests = collective.broadcast(std::move(digests));
  facts_.data.clear();
  for (std::size_t at = 0; at < digests.size();) {
    const std::size_t middle = digests.find('\n', at);
    const std::size_t end = digests.find('\n', middle + 1);
    facts_.data.emplace_back(digests.substr(at, middle - at),
                             digests.substr(middle + 1, end - middle - 1));
    at = end + 1;
  }
}

Value ResumeGuard::value_of(const Facts& facts) {
  Value value = Value::dict();
  value.set("config", pipeline::value_of(facts.config));
  Value classes = Value::list();
  for (const std::string& name : facts.classes) classes.append(Value(name));
  value.set("classes", std::move(classes));
  value.set("data", pipeline::value_of(facts.data));
  value.set("torch", Value(facts.torch));
  value.set("directory", Value(facts.directory));
  return value;
}

ResumeGuard::Facts ResumeGuard::facts_of(const Value& value) {
  Facts facts;
  facts.config = leaves_at(value.at("config"));
  for (const Value& name : value.at("classes").items()) facts.classes.push_back(name.as_string());
  facts.data = leaves_at(value.at("data"));
  facts.torch = value.at("torch").as_string();
  return facts;
}

void ResumeGuard::on_save_checkpoint(train::Trainer&, Value& checkpoint) {
  checkpoint.set(kRun, value_of(facts_));
}

bool ResumeGuard::allows(const std::string& key) const {
  const auto from = from_.find(key);
  return std::any_of(options_.allow.begin(), options_.allow.end(), [&](const std::string& name) {
    return key == name || key.starts_with(name + ".") ||
           (from != from_.end() && from->second.contains(name));
  });
}

void ResumeGuard::refuse_other_classes(const Facts& before) const {
  if (before.classes == facts_.classes) return;
  throw ConfigError(
      fmt::format("dataset.classes: [{}] instead of [{}]: the checkpoint's logits stand for others",
                  fmt::join(facts_.classes, ", "), fmt::join(before.classes, ", ")),
      "put the classes back in the checkpoint's order, or train anew without the checkpoint");
}

void ResumeGuard::refuse_other_shapes(train::Trainer& trainer, const Value& checkpoint,
                                      const std::vector<Change>& changes) const {
  const Value* saved = checkpoint.find("state_dict");
  if (saved == nullptr) return;
  std::string where;
  const train::NamedTensors state = trainer.task().state();
  for (const auto& [name, tensor] : state) {
    const Value* old = saved->find(name);
    if (old != nullptr && old->kind() == Value::Kind::kTensor &&
        old->as_tensor().sizes() == tensor.sizes()) {
      continue;
    }
    where = old == nullptr ? fmt::format("the checkpoint has no '{}' {}", name, shape_of(tensor))
                           : fmt::format("'{}' is {} instead of {}", name, shape_of(tensor),
                                         shape_of(old->as_tensor()));
    break;
  }
  if (where.empty() && saved->entries().size() == state.size()) return;
  if (where.empty()) where = "the checkpoint has more parameters";
  std::string options;
  for (const Change& change : changes) {
    if (verdict_on(change.key, {}, {}) == Verdict::kRefused) options += "\n  " + change.text();
  }
  throw ConfigError(fmt::format("the model is not the checkpoint's: {}{}{}", where,
                                options.empty() ? "" : "; changed since:", options),
                    "put the model's options back, or train anew without the checkpoint");
}

/// What was allowed has its effect.
void ResumeGuard::take(train::Trainer& trainer, const std::string& key) {
  const std::string_view last = std::string_view(key).substr(key.rfind('.') + 1);
  const auto has = [&](const char* part) { return last.find(part) != std::string_view::npos; };
  const bool optimizer = key.starts_with("optimizer.");
  if (last == "lr" || last == "learning_rate" || (optimizer && last == "_target_")) {
    trainer.resume_choice().rates = true;
  }
  if (key.starts_with("schedule") || has("warmup") || has("eta_min") || has("lr_scheduler")) {
    trainer.resume_choice().schedule = true;
  }
}

void ResumeGuard::check_options(const Value& checkpoint) const {
  const Value* saved = checkpoint.find(kRun);
  if (saved == nullptr) return;
  const Facts before = facts_of(*saved);
  check_allowed_names(before.config);
  std::vector<Change> refused;
  for (const Change& change : changes_between(before.config, facts_.config, docs_)) {
    if (verdict_on(change.key, before.config, facts_.config) == Verdict::kRefused &&
        !allows(change.key)) {
      refused.push_back(change);
    }
  }
  refuse(refused);
}

void ResumeGuard::on_load_checkpoint(train::Trainer& trainer, const Value& checkpoint) {
  std::vector<std::string> told;
  std::vector<Change> refused;
  const Value* saved = checkpoint.find(kRun);
  if (saved == nullptr) {
    refuse_other_shapes(trainer, checkpoint, {});
    if (trainer.is_global_zero()) {
      if (accepted_) accepted_();
      if (then_) then_();
      inform(
          "resumed: the checkpoint does not say what it was trained with (another program or an "
          "earlier version wrote it): whether the configuration and the data are the same is not "
          "checked");
    }
    return;
  }
  const Facts before = facts_of(*saved);
  check_allowed_names(before.config);
  const std::vector<Change> changes = changes_between(before.config, facts_.config, docs_);
  refuse_other_classes(before);
  refuse_other_shapes(trainer, checkpoint, changes);
  for (const auto& [key, digest] : facts_.data) {
    const std::string* old = find(before.data, key);
    if (old != nullptr && *old == digest) continue;
    constexpr std::size_t kShown = 12;
    Change change;
    change.key = key.starts_with("rows") ? kRows : kFiles;
    change.before = old == nullptr ? "none" : old->substr(0, kShown);
    change.now = fmt::format("{} (SHA-256 of the {})", digest.substr(0, kShown), key);
    (allows(change.key) ? told.push_back(change.text()) : refused.push_back(change));
  }
  for (const Change& change : changes) {
    const Verdict verdict = verdict_on(change.key, before.config, facts_.config);
    if (verdict == Verdict::kIgnored) continue;
    if (verdict == Verdict::kRefused && !allows(change.key)) {
      refused.push_back(change);
      continue;
    }
    if (verdict == Verdict::kRefused) take(trainer, change.key);
    told.push_back(change.text());
  }
  if (before.torch != facts_.torch) {
    told.push_back(fmt::format("LibTorch {} instead of {}: the last digits may differ",
                               facts_.torch, before.torch));
  }
  refuse(refused);
  if (!trainer.is_global_zero()) return;
  if (accepted_) accepted_();
  if (then_) then_();
  for (const std::string& line : told) inform("resumed: {}", line);
}

}  // namespace polyphony::pipeline
