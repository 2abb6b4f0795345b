#include <polyphony/config/compose/group_choices.h>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

constexpr const char* kComposition = "ConfigCompositionException";

void set_option(DefaultEntry& entry, const Node& value) {
  entry.options.clear();
  entry.name.reset();
  entry.is_list = value.is_list();
  if (value.is_string()) entry.name = value.as_string();
  for (const Node& item : value.items()) entry.options.push_back(python_str(item));
}

Mark place_of(const Override& change) {
  return {std::make_shared<const std::string>("override " + change.text), 0};
}

}  // namespace

GroupChoices::GroupChoices(const std::vector<Override>& groups, bool legacy) : legacy_(legacy) {
  for (const Override& change : groups) {
    const std::string key = change.key + (change.package ? "@" + *change.package : "");
    const Mark mark = place_of(change);
    if (change.type == OverrideType::kForceAdd) {
      throw ComposeError(
          kComposition,
          fmt::format("force-add of config groups is not supported: '{}'", change.text),
          fmt::format("use +{}={}", key, change.value_text()), key, mark);
    }
    if (change.type == OverrideType::kDelete) {
      if (!change.value.is_null() && !change.value.is_string()) {
        throw ComposeError("ValueError",
                           fmt::format("the option to delete must be a string: '{}'", change.text),
                           fmt::format("~{} deletes whatever option is chosen", key), key, mark);
      }
      Deletion deletion{{}, mark, false};
      if (change.value.is_string()) deletion.option = change.value.as_string();
      std::erase_if(deletions_, [&](const auto& item) { return item.first == key; });
      deletions_.emplace_back(key, std::move(deletion));
      continue;
    }
    if (!change.value.is_string() && !change.value.is_list()) {
      throw ComposeError("ValueError",
                         fmt::format("Config group override must be a string or a list: '{}' is a "
                                     "{}",
                                     change.text, Node::kind_name(change.value.kind())),
                         fmt::format("to remove the group use ~{}", key), key, mark);
    }
    if (change.type == OverrideType::kAdd) {
      DefaultEntry entry;
      entry.group = change.key;
      entry.package = change.package;
      if (entry.package == "_here_") entry.package = "";
      entry.external = true;
      entry.mark = mark;
      set_option(entry, change.value);
      appended_.push_back(std::move(entry));
      continue;
    }
    if (choices_.insert_or_assign(key, Choice{change.value, mark, "", false}).second) {
      order_.push_back(key);
    }
  }
}

void GroupChoices::add(const DefaultEntry& entry, const std::string& config_path) {
  Node value;
  if (entry.name) value = Node(*entry.name);
  if (entry.is_list) {
    value = Node::list();
    for (const std::string& option : entry.options) value.items().emplace_back(option);
  }
  const std::string key = entry.key(legacy_);
  if (choices_.try_emplace(key, Choice{value, entry.mark, config_path, false}).second) {
    order_.push_back(key);
  }
}

void GroupChoices::choose(DefaultEntry& entry) {
  if (!entry.group || choices_.empty()) return;
  const auto chosen = choices_.find(entry.key(legacy_));
  if (chosen == choices_.end()) return;
  set_option(entry, chosen->second.value);
  entry.mark = chosen->second.mark;
  chosen->second.used = true;
}

bool GroupChoices::is_external(const DefaultEntry& entry) const {
  if (!entry.group) return false;
  const auto chosen = choices_.find(entry.key(legacy_));
  return chosen != choices_.end() && chosen->second.config_path.empty();
}

bool GroupChoices::take_deletion(const DefaultEntry& entry) {
  if (!entry.group || deletions_.empty()) return false;
  const std::string key = entry.key(legacy_);
  for (auto& [name, deletion] : deletions_) {
    if (name != key || (deletion.option && deletion.option != entry.name)) continue;
    deletion.used = true;
    return true;
  }
  return false;
}

void GroupChoices::record(const DefaultEntry& entry) {
  if (!entry.group) return;
  const std::string key = entry.key(legacy_);
  const auto [at, fresh] = known_at_.try_emplace(key, known_.size());
  if (fresh) {
    known_.emplace_back(key, entry.name);
  } else if (known_[at->second].second != entry.name) {
    const std::string previous = known_[at->second].second.value_or("None");
    throw ComposeError(
        kComposition,
        fmt::format("Multiple values for {0}. To override a value use 'override {0}: {1}'", key,
                    previous),
        "each group and package takes one entry", key, entry.mark);
  }
  keys_of_group_[entry.group_path()].insert(key);
}

void GroupChoices::check_all_used() const {
  for (const std::string& key : order_) {
    const Choice& choice = choices_.at(key);
    if (!choice.used) unmatched(key, choice);
  }
  for (const auto& [key, deletion] : deletions_) {
    if (deletion.used) continue;
    throw ComposeError(kComposition,
                       fmt::format("Could not delete '{}{}'. No match in the defaults list", key,
                                   deletion.option ? "=" + *deletion.option : ""),
                       known_groups(), key, deletion.mark);
  }
}

void GroupChoices::unmatched(const std::string& key, const Choice& choice) const {
  const std::string group = key.substr(0, key.find('@'));
  const auto others = keys_of_group_.find(group);
  std::string fact = fmt::format("Could not override '{}'.", key);
  std::string guess;
  if (others == keys_of_group_.end()) {
    fact += " No match in the defaults list.";
    std::vector<std::string> keys;
    for (const auto& [name, option] : known_) keys.push_back(name);
    const std::string near = base::nearest(key, keys);
    guess =
        near.empty() ? known_groups() : fmt::format("did you mean '{}'? {}", near, known_groups());
  } else {
    guess =
        fmt::format("Did you mean to override {}{}?", others->second.size() > 1 ? "one of " : "",
                    fmt::join(others->second, ", "));
  }
  if (choice.config_path.empty()) {
    guess +=
        fmt::format("\nTo append to your default list use +{}={}", key, python_str(choice.value));
  } else {
    fact = fmt::format("In '{}': {}", choice.config_path, fact);
  }
  throw ComposeError(kComposition, fact, guess, key, choice.mark);
}

std::string GroupChoices::known_groups() const {
  std::vector<std::string> keys;
  for (const auto& [key, option] : known_) {
    if (!key.starts_with("hydra/")) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  return keys.empty() ? "the configuration has no groups"
                      : fmt::format("groups: {}", fmt::join(keys, ", "));
}

}  // namespace polyphony::config
