#include <polyphony/config/defaults.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/errors.h>
#include <polyphony/config/scalars.h>

namespace polyphony::config {
namespace {

constexpr std::size_t kMaxDepth = 100;

/// An entry of a defaults list, with the file it stands in.
struct Entry {
  std::optional<std::string> group;  ///< as written; nothing for a file named by path
  std::vector<std::string> names;    ///< more than one for "group: [a, b]"
  bool is_list = false;
  std::optional<std::string> package;  ///< after '@'
  std::optional<std::string> header;   ///< the option's own "# @package"
  bool optional = false;
  bool is_override = false;
  bool external = false;  ///< from the command line
  std::string base_dir;   ///< group of the file it stands in
  std::string parent_package;
  std::string parent;
  Mark mark;

  bool is_self() const { return !group && names[0] == "_self_"; }
  bool is_interpolation() const {
    return !is_list && !names.empty() && names[0].find("${") != std::string::npos;
  }
  std::string written() const { return group ? *group : names[0]; }
  bool absolute() const { return written().starts_with('/'); }

  std::string group_path() const {
    std::string path = written();
    if (!group) {
      const std::size_t slash = path.rfind('/');
      path = slash == std::string::npos ? "" : path.substr(0, slash);
    }
    if (absolute()) return path.empty() ? path : path.substr(1);
    if (base_dir.empty()) return path;
    return path.empty() ? base_dir : base_dir + "/" + path;
  }
  std::string base_name() const {
    const std::size_t slash = names[0].rfind('/');
    return group || slash == std::string::npos ? names[0] : names[0].substr(slash + 1);
  }
  std::string config_path() const {
    const std::string folder = group_path();
    return folder.empty() ? base_name() : folder + "/" + base_name();
  }
  std::string final_package(bool use_header) const {
    std::optional<std::string> own = package;
    if (!own && use_header) own = header;
    if (own == "_here_") own = "";
    if (!own) {
      std::string path = written();
      if (!group)
        path = path.rfind('/') == std::string::npos ? "" : path.substr(0, path.rfind('/'));
      if (path.starts_with('/')) path.erase(0, 1);
      std::replace(path.begin(), path.end(), '/', '.');
      own = path;
    }
    const std::size_t name_at = own->find("_name_");
    if (name_at != std::string::npos && !names.empty()) own->replace(name_at, 6, base_name());
    std::string full = parent_package.empty() ? *own
                       : own->empty()         ? parent_package
                                              : parent_package + "." + *own;
    const std::size_t global = full.rfind("_global_");
    if (global != std::string::npos) full.erase(0, global + 8);
    if (full.starts_with('.')) full.erase(0, 1);
    return full;
  }
  /// "group", or "group@package" where the package is not the group's own.
  std::string key() const {
    std::string usual = group_path();
    std::replace(usual.begin(), usual.end(), '/', '.');
    const std::string actual = final_package(false);
    if (usual == actual) return group_path();
    return group_path() + "@" + (actual.empty() ? "_global_" : actual);
  }
};

[[noreturn]] void fail(const char* type, const std::string& fact, const std::string& remedy,
                       const Mark& mark, const std::string& key = "") {
  throw ComposeError(type, fact, remedy, key, mark);
}
constexpr const char* kComposition = "ConfigCompositionException";

/// Reads "[optional|override] group[@package]: option" or "path[@package]".
Entry read_entry(const Node& item, const std::string& parent) {
  Entry entry;
  entry.parent = parent;
  entry.mark = item.mark();
  std::string text;
  if (item.is_map() && item.entries().size() == 1) {
    const auto& [key, value] = item.entries()[0];
    std::istringstream words(python_str(key));
    for (std::string word; words >> word;) {
      entry.optional |= !text.empty() && text == "optional";
      entry.is_override |= !text.empty() && text == "override";
      text = word;
    }
    if (value.is_list()) {
      entry.is_list = true;
      for (const Node& name : value.items()) {
        if (!name.is_string()) {
          fail("ValueError", "an option of a group must be a string", "", item.mark(), text);
        }
        entry.names.push_back(name.as_string());
      }
    } else if (value.is_string()) {
      entry.names = {value.as_string()};
    } else if (!value.is_null()) {
      fail(
          "ValueError",
          fmt::format("In '{}': the option of '{}' must be a string, a list or null", parent, text),
          "quote it if a file of this name is meant", item.mark(), text);
    }
    const std::size_t at = text.find('@');
    entry.group = text.substr(0, at);
    if (at != std::string::npos) entry.package = text.substr(at + 1);
  } else if (item.is_string()) {
    text = item.as_string();
    const std::size_t at = text.find('@');
    if (at != std::string::npos) entry.package = text.substr(at + 1);
    entry.names = {text.substr(0, at)};
  } else {
    fail("ValueError",
         fmt::format("In '{}': a defaults entry is a file name or 'group: option'", parent),
         "see the defaults list in the documentation", item.mark());
  }
  if (entry.package && entry.package->find(':') != std::string::npos) {
    fail(kComposition,
         fmt::format("In '{}': '{}': renaming a package is not supported", parent, text),
         "name the group with its present package", item.mark(), text);
  }
  return entry;
}

/// Walks the tree of defaults, last to first as Hydra does, so the innermost overrides come last.
class Expansion {
 public:
  Expansion(Repository& repository, const std::vector<Override>& groups, bool legacy)
      : repository_(repository), legacy_(legacy) {
    for (const Override& change : groups) add_group_override(change);
  }

  DefaultsList run(const std::string& primary) {
    Entry root;
    root.names = {primary};
    root.parent = "<root>";
    std::vector<Found> found = expand(root, true, false, 0);
    check_duplicates(found);
    check_used();
    for (Found& item : found) {
      if (item.choice)
        result_.choices.emplace_back(item.entry.key(),
                                     item.entry.names.empty() ? "null" : item.entry.names[0]);
      if (item.file.config.empty()) continue;
      result_.files.push_back(std::move(item.file));
    }
    return std::move(result_);
  }

 private:
  /// A file to merge, or only the record of a choice (empty `file.config`).
  struct Found {
    Entry entry;
    ResolvedDefault file;
    bool choice = false;
  };
  struct Choice {
    Node value;
    Mark mark;
    bool used = false;
    bool external = false;
  };

  void add_group_override(const Override& change) {
    const std::string key = change.key + (change.package ? "@" + *change.package : "");
    if (change.type == OverrideType::kForceAdd) {
      fail(kComposition,
           fmt::format("force-add of config groups is not supported: '{}'", change.text),
           fmt::format("use +{}={}", key, change.value_text()), change.value.mark(), key);
    }
    if (change.type == OverrideType::kDelete) {
      deletions_[key] = {change.value,
                         {std::make_shared<const std::string>("override " + change.text), 0},
                         false,
                         true};
      return;
    }
    if (!change.value.is_string() && !change.value.is_list()) {
      fail("ValueError",
           fmt::format("Config group override value type cannot be a {}: '{}'",
                       Node::kind_name(change.value.kind()), change.text),
           fmt::format("to remove the group use ~{}", key), change.value.mark(), key);
    }
    if (change.type == OverrideType::kAdd) {
      Entry entry;
      entry.group = change.key;
      entry.package = change.package;
      entry.external = true;
      entry.mark = change.value.mark();
      set_names(entry, change.value);
      appended_.push_back(std::move(entry));
      return;
    }
    choices_[key] = {change.value, change.value.mark(), false, true};
  }

  static void set_names(Entry& entry, const Node& value) {
    entry.names.clear();
    entry.is_list = value.is_list();
    if (value.is_string()) entry.names = {value.as_string()};
    for (const Node& item : value.items()) entry.names.push_back(python_str(item));
  }

  std::vector<Entry> entries_of(const ConfigFile& file, const Entry& parent, bool root) {
    std::vector<Entry> entries;
    const Node& list = file.defaults;
    if (!list.is_list() && !list.is_null()) {
      fail("ValueError", fmt::format("In '{}': defaults must be a list", parent.config_path()),
           "write each entry after '- '", list.mark());
    }
    bool has_self = false;
    bool only_overrides = true;
    for (const Node& item : list.items()) {
      Entry entry = read_entry(item, parent.config_path());
      if (entry.is_self()) {
        if (has_self) {
          fail(kComposition, fmt::format("Duplicate _self_ defined in {}", parent.config_path()),
               "keep one _self_", item.mark());
        }
        has_self = true;
      } else {
        only_overrides = only_overrides && entry.is_override;
      }
      entries.push_back(std::move(entry));
    }
    if (!has_self) {
      const bool content = !file.content.entries().empty();
      if (root && content && !only_overrides) {
        result_.warnings.push_back(fmt::format(
            "In '{}': Defaults list is missing `_self_`. It is taken to stand last: the file's own "
            "values win. Write it where it shall stand.",
            parent.config_path()));
      }
      Entry self;
      self.names = {"_self_"};
      self.parent = parent.config_path();
      entries.push_back(self);
    }
    if (root) {
      for (Entry entry : appended_) {
        entry.parent = parent.config_path();
        entries.push_back(std::move(entry));
      }
    }
    for (Entry& entry : entries) {
      entry.base_dir = parent.group_path();
      entry.parent_package = parent.final_package(true);
    }
    return entries;
  }

  void take_overrides(std::vector<Entry>& entries, const Entry& parent, bool interpolated) {
    const Entry* last = nullptr;
    for (Entry& entry : entries) {
      if (entry.is_self()) continue;
      const bool old_style =
          legacy_ && entry.group && !entry.is_override && entry.group->starts_with("hydra/");
      if (old_style) {
        entry.is_override = true;
        result_.warnings.push_back(fmt::format(
            "In {}: Invalid overriding of {}: Default list overrides requires 'override' keyword.",
            parent.config_path(), *entry.group));
      }
      if (last != nullptr && !entry.is_override && !entry.external) {
        fail(kComposition,
             fmt::format("In {}: Override '{}' must come at the end of the defaults list",
                         parent.config_path(), last->key()),
             "move the override entries below all others", last->mark, last->key());
      }
      if (!entry.is_override || !entry.group) continue;
      if (!old_style) last = &entry;
      if (interpolated) {
        fail(kComposition,
             fmt::format("In {}: Default List Overrides are not allowed in the subtree "
                         "of an interpolated config group",
                         parent.config_path()),
             "choose the option by name", entry.mark, entry.key());
      }
      Node value = entry.is_list         ? Node::list()
                   : entry.names.empty() ? Node()
                                         : Node(entry.names[0]);
      for (const std::string& name : entry.names) {
        if (entry.is_list) value.items().push_back(Node(name));
      }
      choices_.try_emplace(entry.key(), Choice{value, entry.mark, false, false});
    }
  }

  std::vector<Found> expand(Entry node, bool root, bool interpolated, std::size_t depth) {
    if (depth > kMaxDepth) {
      fail("RecursionError",
           fmt::format("'{}': the defaults lists name each other in a circle", node.config_path()),
           "break the circle", node.mark);
    }
    if (node.group && is_deleted(node)) return {};
    if (node.group)
      known_.insert_or_assign(node.key(), node.names.empty() ? "null" : node.names[0]);
    if (node.names.empty()) return {record(node)};
    if (node.names[0] == "???") missing_option(node);
    const std::string path = node.config_path();
    const ConfigFile* file = repository_.load(path);
    if (file == nullptr) {
      if (node.optional) return {record(node)};
      not_found(node, root);
    }
    if (!file->content.is_map()) {
      fail(kComposition,
           root ? fmt::format("primary config '{}' must be a mapping, not a list", path)
                : fmt::format("config '{}' must be a mapping, not a list", path),
           "a configuration file is a mapping of keys to values", file->content.mark());
    }
    node.header = header_of(*file, node);
    std::vector<Entry> entries = entries_of(*file, node, root);
    take_overrides(entries, node, interpolated);
    return expand_children(node, entries, interpolated, depth);
  }

  std::optional<std::string> header_of(const ConfigFile& file, const Entry& node) const {
    std::optional<std::string> header = file.package;
    if (!legacy_ || !header) return header;
    const std::size_t at = header->find("_group_");
    if (at != std::string::npos) {
      std::string group = node.written();
      if (group.starts_with('/')) group.erase(0, 1);
      std::replace(group.begin(), group.end(), '/', '.');
      header->replace(at, 7, group);
    }
    return header;
  }

  std::vector<Found> expand_children(const Entry& node, std::vector<Entry>& entries,
                                     bool interpolated, std::size_t depth) {
    std::vector<std::vector<Found>> parts(entries.size());
    std::vector<std::size_t> waiting;
    for (std::size_t i = entries.size(); i-- > 0;) {
      Entry& entry = entries[i];
      if (entry.is_self()) {
        Found self;
        self.entry = node;
        self.file = {node.config_path(), node.final_package(true), node.parent, true};
        self.choice = node.group.has_value() && !node.is_list;
        parts[i].push_back(std::move(self));
        continue;
      }
      if (entry.is_override) continue;
      if (entry.group) choose(entry);
      if (entry.is_list) {
        parts[i] = expand_options(entry, interpolated, depth);
      } else if (entry.is_interpolation()) {
        waiting.push_back(i);
      } else {
        parts[i] = expand(entry, false, interpolated, depth + 1);
      }
    }
    std::sort(waiting.begin(), waiting.end());
    for (const std::size_t i : waiting) {
      entries[i].names[0] = substitute(entries[i]);
      parts[i] = expand(entries[i], false, true, depth + 1);
    }
    std::vector<Found> all;
    for (std::vector<Found>& part : parts) {
      std::move(part.begin(), part.end(), std::back_inserter(all));
    }
    return all;
  }

  std::vector<Found> expand_options(const Entry& entry, bool interpolated, std::size_t depth) {
    std::vector<std::vector<Found>> parts(entry.names.size());
    if (is_deleted(entry)) return {};
    for (std::size_t i = entry.names.size(); i-- > 0;) {
      if (entry.names[i].find("${") != std::string::npos) {
        fail(kComposition,
             fmt::format("In '{}': no interpolation in a list of options: '{}'", entry.parent,
                         entry.names[i]),
             "name the option", entry.mark, entry.key());
      }
      Entry file = entry;
      file.is_list = false;
      file.group.reset();
      file.names = {*entry.group + "/" + entry.names[i]};
      parts[i] = expand(file, false, interpolated, depth + 1);
    }
    std::vector<Found> all;
    Found choice = record(entry);
    choice.entry.names = {fmt::format("[{}]", fmt::join(entry.names, ", "))};
    all.push_back(std::move(choice));
    for (std::vector<Found>& part : parts) {
      std::move(part.begin(), part.end(), std::back_inserter(all));
    }
    return all;
  }

  static Found record(const Entry& entry) {
    Found found;
    found.entry = entry;
    found.choice = entry.group.has_value();
    return found;
  }

  void choose(Entry& entry) {
    const auto chosen = choices_.find(entry.key());
    keys_.insert(entry.key());
    if (chosen == choices_.end()) return;
    set_names(entry, chosen->second.value);
    entry.mark = chosen->second.mark;
    chosen->second.used = true;
  }

  bool is_deleted(const Entry& entry) {
    const auto found = deletions_.find(entry.key());
    if (found == deletions_.end()) return false;
    const Node& wanted = found->second.value;
    if (!wanted.is_null() && (entry.names.empty() || python_str(wanted) != entry.names[0]))
      return false;
    found->second.used = true;
    return true;
  }

  std::string substitute(const Entry& entry) const {
    std::string text = entry.names[0];
    for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${")) {
      const std::size_t end = text.find('}', at);
      const std::string key = text.substr(at + 2, end == std::string::npos ? end : end - at - 2);
      const auto known = known_.find(key);
      if (end == std::string::npos || known == known_.end()) {
        fail(kComposition,
             fmt::format("In '{}': '{}' names no group of the defaults list", entry.parent, text),
             "${group} stands for the option chosen for that group", entry.mark, entry.key());
      }
      text.replace(at, end + 1 - at, known->second);
    }
    return text;
  }

  [[noreturn]] void missing_option(const Entry& node) const {
    const std::vector<std::string> options = repository_.options(node.group_path());
    fail(kComposition, fmt::format("You must specify '{0}', e.g, {0}=<OPTION>", node.key()),
         fmt::format("Available options:\n\t{}", fmt::join(options, "\n\t")), node.mark,
         node.key());
  }

  [[noreturn]] void not_found(const Entry& node, bool root) const {
    if (root) {
      fail("MissingConfigException",
           fmt::format("Cannot find primary config '{}'. Check that it's in "
                       "your config search path.",
                       node.config_path()),
           repository_.search_path_text(), {}, node.config_path());
    }
    if (!node.group) {
      fail("MissingConfigException",
           fmt::format("In '{}': Could not load '{}'.", node.parent, node.config_path()),
           repository_.search_path_text(), node.mark, node.config_path());
    }
    const std::vector<std::string> options = repository_.options(node.group_path());
    const std::string near = base::nearest(node.names[0], options);
    fail("MissingConfigException",
         fmt::format("In '{}': Could not find '{}'", node.parent, node.config_path()),
         fmt::format("{}Available options in '{}':\n\t{}\n{}",
                     near.empty() ? "" : fmt::format("did you mean '{}'?\n", near),
                     node.group_path(), fmt::join(options, "\n\t"), repository_.search_path_text()),
         node.mark, node.config_path());
  }

  static void check_duplicates(const std::vector<Found>& found) {
    std::set<std::string> seen;
    for (const Found& item : found) {
      if (!item.choice || seen.insert(item.entry.key()).second) continue;
      const std::string name = item.entry.names.empty() ? "null" : item.entry.names[0];
      fail(kComposition,
           fmt::format("Multiple values for {0}. To override a value use 'override {0}: {1}'",
                       item.entry.key(), name),
           "each group and package takes one entry", item.entry.mark, item.entry.key());
    }
  }

  void check_used() const {
    for (const auto& [key, choice] : deletions_) {
      if (choice.used) continue;
      fail(kComposition, fmt::format("Could not delete '{}'. No match in the defaults list", key),
           known_groups(), choice.mark, key);
    }
    for (const auto& [key, choice] : choices_) {
      if (choice.used || key.starts_with("hydra/")) continue;
      const std::string group = key.substr(0, key.find('@'));
      std::vector<std::string> others;
      for (const std::string& other : keys_) {
        if (other.substr(0, other.find('@')) == group) others.push_back(other);
      }
      const std::string fact =
          others.empty()
              ? fmt::format("Could not override '{}'. No match in the defaults list.", key)
              : fmt::format("Could not override '{}'.", key);
      const std::string guess =
          others.empty() ? known_groups()
                         : fmt::format("Did you mean to override {}{}?",
                                       others.size() > 1 ? "one of " : "", fmt::join(others, ", "));
      fail(kComposition, fact,
           fmt::format("{}\nTo append to your default list use +{}={}", guess, key,
                       python_str(choice.value)),
           choice.mark, key);
    }
  }

  std::string known_groups() const { return fmt::format("groups: {}", fmt::join(keys_, ", ")); }

  Repository& repository_;
  bool legacy_;
  std::map<std::string, Choice> choices_;
  std::map<std::string, Choice> deletions_;
  std::vector<Entry> appended_;
  std::map<std::string, std::string> known_;
  std::set<std::string> keys_;
  DefaultsList result_;
};

}  // namespace

DefaultsList expand_defaults(Repository& repository, const std::string& primary,
                             const std::vector<Override>& groups, bool legacy) {
  return Expansion(repository, groups, legacy).run(primary);
}

}  // namespace polyphony::config
