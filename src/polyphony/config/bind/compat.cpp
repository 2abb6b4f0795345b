#include <polyphony/config/bind/compat.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/target.h>
#include <polyphony/config/rename/aliases.h>
#include <polyphony/config/rename/renamed.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::config {
namespace {

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

std::string place(const Node& key, const Node& value) {
  const std::string text = key.mark().text().empty() ? value.mark().text() : key.mark().text();
  return text.empty() ? "" : text + ": ";
}

bool accepts_renamed(const Node& config) {
  const Node* flag = config.select("compat.accept_renamed");
  if (flag == nullptr || flag->is_null()) return false;
  if (flag->kind() == Node::Kind::kBool) return flag->as_bool();
  throw ConfigError(fmt::format("{}compat.accept_renamed is true or false, not {}",
                                place(Node(), *flag), python_repr(*flag)),
                    "write compat.accept_renamed=true");
}

/// Does the class that the mapping names have this option itself?
bool has_option(const RegisteredClass* entry, const std::string& option) {
  if (entry == nullptr) return false;
  Fields fields;
  entry->describe(fields);
  return std::any_of(fields.docs().begin(), fields.docs().end(),
                     [&](const FieldDoc& field) { return field.name == option; });
}

/// Walks a configuration once.
class Update {
 public:
  Update(Node& root, const std::function<void(const std::string&)>& warn)
      : root_(root), warn_(warn), accept_(accepts_renamed(root)) {
    if (const Node* aliases = root.find("aliases")) aliases_ = *aliases;
    if (!aliases_.is_map() && !aliases_.is_null()) {
      throw ConfigError(place(Node(), aliases_) + "aliases: a table of names is wanted",
                        "write aliases: {src.models.Mine: mine.Model}");
    }
  }

  void run() {
    walk(root_, "");
    for (auto& [key, value] : at_root_) {
      const Node* there = root_.find(key);
      if (there == nullptr || there->is_null()) root_.set(key, std::move(value));
    }
  }

 private:
  void walk(Node& node, const std::string& path) {
    if (node.is_list()) {
      for (std::size_t i = 0; i < node.items().size(); ++i)
        walk(node.items()[i], join(path, std::to_string(i)));
    }
    if (!node.is_map() || path == "aliases") return;
    std::string owner = path == "trainer" ? "polyphony.Trainer" : "";
    const RegisteredClass* entry = nullptr;
    if (Node* target = node.find("_target_"); target != nullptr && target->is_string()) {
      rename_target(*target, join(path, "_target_"));
      owner = target->as_string();
      entry = find_target(owner).entry;
    }
    if (!owner.empty()) check_options(node, owner, entry, path);
    for (auto& [key, value] : node.entries()) walk(value, join(path, python_str(key)));
  }

  void rename_target(Node& target, const std::string& path) {
    const Node* mine = aliases_.find(target.as_string());
    if (mine != nullptr && !mine->is_string()) {
      throw ConfigError(fmt::format("{}aliases.{}: a class name is wanted", place(Node(), *mine),
                                    target.as_string()),
                        "`polyphony list` prints the names");
    }
    if (mine != nullptr) replace(target, mine->as_string());
    const RenamedClass* old = find_renamed_class(target.as_string());
    if (old == nullptr || find_target(target.as_string()).entry != nullptr) return;
    const std::string fact =
        fmt::format("{}{}: {} is an old name", place(Node(), target), path, target.as_string());
    if (!accept_ || old->use.empty()) throw ConfigError(fact, renamed_class_text(*old));
    warn_(fmt::format("{}; taken as {} ({})", fact, old->use, old->since));
    replace(target, std::string(old->use));
  }

  static void replace(Node& node, const std::string& text) {
    const Mark mark = node.mark();
    node = Node(text);
    node.set_mark(mark);
  }

  void check_options(Node& node, const std::string& owner, const RegisteredClass* entry,
                     const std::string& path) {
    for (std::size_t i = 0; i < node.entries().size();) {
      const Node key = node.entries()[i].first;
      const Node value = node.entries()[i].second;
      const std::string name = python_str(key);
      const RenamedOption* row = find_renamed(entry == nullptr ? owner : entry->name, name, value);
      if (row == nullptr && entry != nullptr) row = find_renamed(owner, name, value);
      const bool skip = row == nullptr || row->form == OldForm::kDiscouraged ||
                        (row->value.empty() && has_option(entry, name));
      if (skip) {
        ++i;
        continue;
      }
      const std::string fact =
          row->value.empty() ? fmt::format("{}{}: no such option of {}", place(key, value),
                                           join(path, name), entry == nullptr ? owner : entry->name)
                             : fmt::format("{}{}: {} is an old value", place(key, value),
                                           join(path, name), python_repr(value));
      if (!accept_) throw ConfigError(fact, renamed_text(*row, value, path));
      warn_(fmt::format("{}; {}", fact, renamed_text(*row, value, path)));
      i += translate(node, i, *row, path);
    }
  }

  /// Puts what the row says in the place of entry i. Returns how many entries stand there now.
  std::size_t translate(Node& node, std::size_t i, const RenamedOption& row,
                        const std::string& path) {
    const Node::Item old = node.entries()[i];
    node.entries().erase(node.entries().begin() + static_cast<std::ptrdiff_t>(i));
    std::size_t added = 0;
    bool first = true;
    for (const Replacement& item : replacements(row, old.second)) {
      Node value = item.keeps_value ? old.second : parse_yaml(item.value, "");
      value.set_mark(old.second.mark());
      if (item.root) {
        at_root_.emplace_back(item.key, std::move(value));
        continue;
      }
      const Node* there = node.find(item.key);
      const bool free = there == nullptr || find_renamed(row.owner, item.key, *there) != nullptr;
      if (free) {
        node.entries().insert(node.entries().begin() + static_cast<std::ptrdiff_t>(i + added),
                              {Node(item.key), std::move(value)});
        ++added;
      } else if (first && !(*there == value)) {
        throw ConfigError(
            fmt::format("{}{}: given beside {}, which replaced it", place(old.first, old.second),
                        join(path, python_str(old.first)), item.key),
            "drop the old one");
      }
      first = false;
    }
    return added;
  }

  Node& root_;
  const std::function<void(const std::string&)>& warn_;
  Node aliases_;
  bool accept_;
  std::vector<std::pair<std::string, Node>> at_root_;  // set when the walk is over
};

}  // namespace

Node up_to_date(Node config, const std::function<void(const std::string&)>& warn) {
  Update(config, warn).run();
  return config;
}

}  // namespace polyphony::config
