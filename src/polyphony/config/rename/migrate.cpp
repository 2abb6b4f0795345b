#include <polyphony/config/rename/migrate.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/rename/aliases.h>
#include <polyphony/config/rename/line_edit.h>
#include <polyphony/config/rename/renamed.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::config {
namespace fs = std::filesystem;
namespace {

/// Keys and groups that tell the class of a mapping without `_target_`.
constexpr std::pair<std::string_view, std::string_view> kByKey[] = {
    {"trainer", "Trainer"},
    {"model_checkpoint", "ModelCheckpoint"},
    {"early_stopping", "EarlyStopping"},
    {"lr_monitor", "LearningRateMonitor"},
    {"learning_rate_monitor", "LearningRateMonitor"},
    {"training_arguments", "TrainingArguments"},
};

std::string class_by_key(std::string_view key) {
  for (const auto& [name, owner] : kByKey) {
    if (name == key) return std::string(owner);
  }
  return "";
}

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

/// Where options take their values from: "monitor" to EarlyStopping.monitor.
struct Use {
  std::string owner, option;
};
using Variables = std::multimap<std::string, Use>;

/// "${name}" gives "name"; nothing for any other text.
std::optional<std::string> variable(const Node& value) {
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.as_string();
  if (!text.starts_with("${") || !text.ends_with("}")) return std::nullopt;
  const std::string name = text.substr(2, text.size() - 3);
  if (name.empty() || name.find_first_of(":{}") != name.npos || name[0] == '.') return std::nullopt;
  return name;
}

/// The class of a whole file: its group's, unless its header puts it elsewhere.
std::string class_of_file(const TextFile& file) {
  const std::size_t slash = file.path.rfind('/');
  if (slash == file.path.npos || file.text.find("@package _global_") != file.text.npos) return "";
  const std::string folder = file.path.substr(0, slash);
  return class_by_key(folder.substr(folder.rfind('/') + 1));
}

std::string owner_of(const Node& map, const std::string& otherwise) {
  const Node* target = map.find("_target_");
  return target != nullptr && target->is_string() ? std::string(class_part(target->as_string()))
                                                  : otherwise;
}

/// Calls visit(map, owner, path) for every mapping of a tree, `_target_` deciding before the key.
template <class Visit>
void each_map(const Node& node, const std::string& owner, const std::string& path,
              const Visit& visit) {
  for (std::size_t i = 0; i < node.items().size(); ++i)
    each_map(node.items()[i], "", join(path, std::to_string(i)), visit);
  if (!node.is_map()) return;
  visit(node, owner_of(node, owner), path);
  for (const auto& [key, value] : node.entries()) {
    const std::string name = python_str(key);
    each_map(value, class_by_key(name), join(path, name), visit);
  }
}

/// Edits one file's lines.
class Editor {
 public:
  Editor(const TextFile& file, const Variables& variables)
      : lines_(split_lines(file.text)), variables_(variables) {
    out_.path = file.path;
    out_.before = file.text;
  }

  Migration run(const Node& root, const std::string& owner) {
    each_map(root, owner, "",
             [&](const Node& map, const std::string& class_name, const std::string& path) {
               edit_map(map, class_name, path);
             });
    if (root.is_map()) edit_defaults(root);
    drop_group_header();
    replace_texts();
    out_.after = join_lines(lines_);
    std::sort(out_.by_hand.begin(), out_.by_hand.end(),
              [](const ByHand& a, const ByHand& b) { return a.line < b.line; });
    return std::move(out_);
  }

 private:
  void by_hand(int line, const std::string& text) { out_.by_hand.push_back({line, text}); }

  void edit_map(const Node& map, const std::string& owner, const std::string& path) {
    for (const auto& [key, value] : map.entries()) {
      const std::string name = python_str(key);
      const int line = key.mark().line;
      if (name == "_target_" && value.is_string()) edit_target(value, line);
      if (!seen_.insert({line, name}).second) continue;  // an anchor's mapping, met again
      const RenamedOption* row = owner.empty() ? nullptr : find_renamed(owner, name, value);
      if (row != nullptr) {
        edit_option(map, owner, name, value, *row, line);
      } else {
        edit_variable(join(path, name), name, value, line);
      }
    }
  }

  void edit_target(const Node& value, int line) {
    const RenamedClass* old = find_renamed_class(value.as_string());
    if (old == nullptr) return;
    LineEntry entry;
    std::string& text = at(line);
    if (old->use.empty() || !find_entry(text, "_target_", entry) || !entry.one_line)
      return by_hand(line, fmt::format("{}: {}", value.as_string(), renamed_class_text(*old)));
    text = replace_value(text, entry, std::string(old->use));
  }

  /// A variable's value is rewritten where only the value is old; else its use must change too.
  void edit_variable(const std::string& path, const std::string& name, const Node& value,
                     int line) {
    const auto [first, last] = variables_.equal_range(path);
    for (auto it = first; it != last; ++it) {
      const RenamedOption* row = find_renamed(it->second.owner, it->second.option, value);
      if (row == nullptr || row->value.empty()) continue;
      const std::vector<Replacement> list = replacements(*row, value);
      LineEntry entry;
      const bool simple = list.size() == 1 && list[0].key == it->second.option && !list[0].root &&
                          find_entry(at(line), name, entry) && entry.one_line;
      if (simple) {
        at(line) = replace_value(at(line), entry, list[0].value);
      } else {
        by_hand(line, fmt::format("{} is {} of {}: {}", path, it->second.option, it->second.owner,
                                  renamed_text(*row, value, "")));
      }
      return;
    }
  }

  void edit_option(const Node& map, const std::string& owner, const std::string& name,
                   const Node& value, const RenamedOption& row, int line) {
    const std::vector<Replacement> list = replacements(row, value);
    const std::string advice = fmt::format("{}: {}", name, renamed_text(row, value, ""));
    LineEntry entry;
    if (!find_entry(at(line), name, entry)) return by_hand(line, advice);
    if (list.empty()) return remove(map, row, entry, advice, line);
    const Replacement& main = list.front();
    const Node* there = main.key == name ? nullptr : map.find(main.key);
    const bool taken = there != nullptr && find_renamed(owner, main.key, *there) == nullptr;
    const bool needs_value = !main.keeps_value && !entry.one_line;
    if (main.root || taken || needs_value) return by_hand(line, advice);
    std::string text = at(line);
    if (!main.keeps_value) text = replace_value(text, entry, main.value);
    text = replace_key(text, entry, main.key);
    at(line) = text;
    for (std::size_t i = 1; i < list.size(); ++i) {
      const Node* other = map.find(list[i].key);
      if (other != nullptr && find_renamed(owner, list[i].key, *other) == nullptr) continue;
      add(main.key, list[i], line);
    }
    if (!row.note.empty()) by_hand(line, advice);
  }

  /// Puts one more entry beside `key`, which stands on the line.
  void add(const std::string& key, const Replacement& item, int line) {
    LineEntry entry;
    std::string& text = at(line);
    if (!find_entry(text, key, entry)) return;
    const std::string more = item.key + ": " + item.value;
    if (entry.flow) {
      text.insert(entry.value_end, ", " + more);
    } else if (entry.one_line && (entry.value < entry.value_end || entry.in_list)) {
      text += "\n" + std::string(entry.key, ' ') + more;
    } else {
      text.insert(0, std::string(entry.key, ' ') + more + "\n");  // the value's lines follow
    }
  }

  /// Makes a comment of an option that is gone, with the reason; drops it where nothing is lost.
  void remove(const Node& map, const RenamedOption& row, const LineEntry& entry,
              const std::string& advice, int line) {
    if (entry.flow || entry.in_list || !entry.one_line || map.entries().size() == 1)
      return by_hand(line, advice);
    if (row.note.starts_with("drop it")) {
      dropped_.push_back(line);
      return;
    }
    std::string& text = at(line);
    text.insert(entry.key, "# ");
    text += "  # " + advice.substr(advice.find(": ") + 2);
    by_hand(line, advice);
  }

  /// Hydra 1.1: entries for Hydra's own groups say `override`.
  void edit_defaults(const Node& root) {
    const Node* defaults = root.find("defaults");
    if (defaults == nullptr) return;
    for (const Node& item : defaults->items()) {
      if (!item.is_map() || item.entries().empty()) continue;
      const Node& key = item.entries()[0].first;
      const int line = key.mark().line;
      if (item.entries().size() > 1 && item.find("optional") != nullptr) {
        by_hand(line, "optional: true: renamed in Hydra 1.1: write - optional GROUP: OPTION");
        continue;
      }
      LineEntry entry;
      const std::string name = python_str(key);
      if (name.starts_with("hydra/") && find_entry(at(line), name, entry))
        at(line).insert(entry.key, "override ");
    }
  }

  /// Hydra 1.1: "# @package _group_" is what every group file means without it.
  void drop_group_header() {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const std::string& text = lines_[i];
      const std::size_t first = text.find_first_not_of(" \t");
      if (first == text.npos) continue;
      if (text[first] != '#') break;
      const std::size_t at = text.find("@package _group_");
      if (at != text.npos && text.find_first_not_of(" \t\r", at + 16) == text.npos)
        dropped_.push_back(static_cast<int>(i) + 1);
    }
  }

  void replace_texts() {
    for (std::string& line : lines_) {
      const std::size_t first = line.find_first_not_of(" \t");
      if (first == line.npos || line[first] == '#') continue;
      for (const RenamedText& row : renamed_texts()) {
        for (std::size_t at = line.find(row.text); at != line.npos; at = line.find(row.text, at)) {
          line.replace(at, row.text.size(), row.use);
          at += row.use.size();
        }
      }
    }
    std::sort(dropped_.rbegin(), dropped_.rend());
    for (const int line : dropped_) lines_.erase(lines_.begin() + (line - 1));
  }

  std::string& at(int line) { return lines_.at(static_cast<std::size_t>(std::max(line, 1) - 1)); }

  Migration out_;
  std::vector<std::string> lines_;  // a line may come to hold line breaks
  std::vector<int> dropped_;
  std::set<std::pair<int, std::string>> seen_;
  const Variables& variables_;
};

Variables collect_variables(const std::vector<TextFile>& files, const std::vector<Node>& roots) {
  Variables variables;
  for (std::size_t i = 0; i < files.size(); ++i) {
    each_map(roots[i], class_of_file(files[i]), "",
             [&](const Node& map, const std::string& owner, const std::string&) {
               if (owner.empty()) return;
               for (const auto& [key, value] : map.entries()) {
                 if (const auto name = variable(value))
                   variables.emplace(*name, Use{owner, python_str(key)});
               }
             });
  }
  return variables;
}

}  // namespace

std::vector<Migration> migrate(const std::vector<TextFile>& files) {
  std::vector<Node> roots;
  for (const TextFile& file : files) roots.push_back(parse_yaml(file.text, file.path));
  const Variables variables = collect_variables(files, roots);
  std::vector<Migration> all;
  for (std::size_t i = 0; i < files.size(); ++i)
    all.push_back(Editor(files[i], variables).run(roots[i], class_of_file(files[i])));
  return all;
}

std::vector<TextFile> read_tree(const fs::path& path) {
  if (!fs::exists(path)) {
    throw IoError(fmt::format("{}: no such file or directory", path.string()),
                  "name a configuration tree, or one file of it");
  }
  if (!fs::is_directory(path)) return {{path.filename().string(), read_file(path)}};
  std::vector<TextFile> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || (extension != ".yaml" && extension != ".yml")) continue;
    files.push_back(
        {entry.path().lexically_relative(path).generic_string(), read_file(entry.path())});
  }
  std::sort(files.begin(), files.end(),
            [](const TextFile& a, const TextFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace polyphony::config
