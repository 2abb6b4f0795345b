#include <polyphony/config/compose/defaults.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/compose/default_entry.h>
#include <polyphony/config/compose/group_choices.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/errors.h>

namespace polyphony::config {
namespace {

constexpr std::size_t kMaxDepth = 100;
constexpr const char* kComposition = "ConfigCompositionException";
constexpr const char* kUpgrades = "https://hydra.cc/docs/1.2/upgrades/1.0_to_1.1/";

/// Walks the tree of defaults, last to first as Hydra does, so the innermost overrides come last.
class Expansion {
 public:
  Expansion(Repository& repository, const DefaultsRequest& request)
      : repository_(repository),
        legacy_(request.legacy),
        skip_missing_(request.skip_missing),
        context_(request.context),
        choices_(request.groups, request.legacy) {}

  DefaultsList run(const std::string& primary) {
    DefaultEntry root;
    root.name = primary.empty() ? "_dummy_empty_config_" : primary;
    root.primary = true;
    DefaultEntry hydra;
    hydra.name = "hydra/config";
    result_.tree = {"<root>", {{}, {}}};
    Files own = expand({root, "<root>", false, 0}, result_.tree.children[1]);
    Files files = expand({hydra, "<root>", false, 0}, result_.tree.children[0]);
    std::move(own.begin(), own.end(), std::back_inserter(files));
    check_duplicates(files);
    choices_.check_all_used();
    std::erase_if(files, [](const auto& file) { return file.config == "_dummy_empty_config_"; });
    result_.files = std::move(files);
    result_.choices = choices_.known();
    return std::move(result_);
  }

 private:
  using Files = std::vector<ResolvedDefault>;

  struct Visit {
    DefaultEntry entry;
    std::string parent;  ///< config path of the file that names it
    bool interpolated;   ///< inside the subtree of an interpolated option
    std::size_t depth;
  };

  std::string tree_text(const DefaultEntry& entry) const {
    if (!entry.group) return entry.config_path();
    return entry.key(legacy_) + ": " + entry.name.value_or("null");
  }

  /// @param node  of the tree; filled in
  Files expand(Visit visit, DefaultsTree& node) {
    DefaultEntry& entry = visit.entry;
    node.text = tree_text(entry);
    if (visit.depth > kMaxDepth) {
      throw ComposeError(
          "RecursionError",
          fmt::format("'{}': the defaults lists name each other in a circle", entry.config_path()),
          "break the circle", "", entry.mark);
    }
    const std::string path = entry.config_path();
    const ConfigFile* file = entry.is_missing() || !entry.name ? nullptr : repository_.load(path);
    if (entry.primary && file == nullptr) not_found(visit);
    if (file != nullptr && file->package) take_header(entry, *file->package, path);
    if (choices_.take_deletion(entry)) return {};
    choices_.record(entry);
    if (!entry.name) return {};
    if (path.ends_with("???")) {
      if (skip_missing_) return {};
      missing_option(entry);
    }
    if (file == nullptr) {
      if (!entry.optional) not_found(visit);
      note_hidden_typo(entry);
      return {};
    }
    return expand_children(visit, *file, node);
  }

  void take_header(DefaultEntry& entry, const std::string& package, const std::string& path) {
    const bool keyword =
        package.find("_group_") != std::string::npos || package.find("_name_") != std::string::npos;
    if (legacy_ && keyword) {
      result_.warnings.push_back(fmt::format(
          "In '{}': Usage of deprecated keyword in package header '# @package {}'.\nSee "
          "{}changes_to_package_header for more information",
          path, package, kUpgrades));
    }
    entry.set_header(package, legacy_);
  }

  /// An optional group hides a misspelled option: Hydra is silent about it, we are not.
  void note_hidden_typo(const DefaultEntry& entry) {
    if (!choices_.is_external(entry)) return;
    const std::vector<std::string> options = repository_.options(entry.group_path());
    const std::string near = base::nearest(*entry.name, options);
    result_.hidden_typos.push_back(fmt::format(
        "'{}={}' changes nothing: the group is optional and has no such option{}. Available: {}",
        entry.key(legacy_), *entry.name, near.empty() ? "" : fmt::format(" (nearest: {})", near),
        options.empty() ? "none" : fmt::format("{}", fmt::join(options, ", "))));
  }

  Files expand_children(const Visit& visit, const ConfigFile& file, DefaultsTree& node) {
    const DefaultEntry& parent = visit.entry;
    const std::string path = parent.config_path();
    std::vector<DefaultEntry> entries = read_default_entries(file, path, legacy_, result_.warnings);
    const bool appends = parent.primary && !choices_.appended().empty();
    if (entries.empty() && !appends) return {itself(visit, false)};
    const bool self_added = place_self(entries, parent, file);
    if (parent.primary) {
      entries.insert(entries.end(), choices_.appended().begin(), choices_.appended().end());
    }
    for (DefaultEntry& entry : entries) {
      if (!entry.is_self()) {
        entry.set_parent(parent.group_path(), parent.final_package(true, legacy_));
      }
    }
    take_overrides(entries, visit);

    std::vector<Files> parts(entries.size());
    node.children.resize(entries.size());
    std::vector<std::size_t> waiting;
    bool has_children = false;
    for (std::size_t i = entries.size(); i-- > 0;) {
      DefaultEntry& entry = entries[i];
      if (entry.is_self()) {
        parts[i] = {itself(visit, true)};
        node.children[i].text = "_self_";
        has_children = true;
      } else if (!entry.is_override) {
        choices_.choose(entry);
        has_children |= !entry.is_list || !entry.options.empty();
        if (entry.is_list) {
          parts[i] = expand_options(entry, visit, node.children[i]);
        } else if (entry.is_interpolation()) {
          waiting.push_back(i);
        } else {
          parts[i] = expand({entry, path, visit.interpolated, visit.depth + 1}, node.children[i]);
        }
      }
    }
    if (!has_children) {
      node.children.clear();
      return {itself(visit, false)};
    }
    if (!waiting.empty()) {
      const Node known = interpolation_map(entries, self_added);
      for (const std::size_t i : waiting) {
        substitute(entries[i], known);
        parts[i] = expand({entries[i], path, true, visit.depth + 1}, node.children[i]);
      }
    }
    lift_nameless(node);
    Files all;
    for (Files& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
    return all;
  }

  /// Puts the children of a list of options in its place; an `override` entry has none.
  static void lift_nameless(DefaultsTree& node) {
    std::vector<DefaultsTree> children;
    for (DefaultsTree& child : node.children) {
      if (!child.text.empty()) {
        children.push_back(std::move(child));
      } else {
        std::move(child.children.begin(), child.children.end(), std::back_inserter(children));
      }
    }
    node.children = std::move(children);
  }

  ResolvedDefault itself(const Visit& visit, bool self) const {
    const DefaultEntry& entry = visit.entry;
    return {entry.config_path(), entry.final_package(true, legacy_),
            visit.parent,        self,
            entry.primary,       entry.group && !self ? entry.key(legacy_) : ""};
  }

  /// Appends `_self_` where the list has none; says whether it did.
  bool place_self(std::vector<DefaultEntry>& entries, const DefaultEntry& parent,
                  const ConfigFile& file) {
    bool has_self = false;
    bool has_others = false;
    for (const DefaultEntry& entry : entries) {
      has_others |= !entry.is_override;
      if (!entry.is_self()) continue;
      if (has_self) {
        throw ComposeError(kComposition,
                           fmt::format("Duplicate _self_ defined in {}", parent.config_path()),
                           "keep one _self_", "", entry.mark);
      }
      has_self = true;
    }
    if ((!has_self && has_others) || entries.empty()) {
      const auto& content = file.content.entries();
      const bool has_content = std::any_of(content.begin(), content.end(), [](const auto& item) {
        return !item.second.is_missing();
      });
      if (parent.primary && has_content && has_others) {
        result_.warnings.push_back(fmt::format(
            "In '{}': Defaults list is missing `_self_`. See {}default_composition_order for more "
            "information",
            parent.config_path(), kUpgrades));
      }
      DefaultEntry self;
      self.name = "_self_";
      entries.push_back(std::move(self));
    }
    return !has_self;
  }

  void take_overrides(std::vector<DefaultEntry>& entries, const Visit& visit) {
    const std::string path = visit.entry.config_path();
    const DefaultEntry* last = nullptr;
    for (DefaultEntry& entry : entries) {
      if (entry.is_self()) continue;
      const bool old_style =
          legacy_ && entry.group && !entry.is_override && entry.group->starts_with("hydra/");
      if (last != nullptr && !(entry.is_override || entry.external || old_style)) {
        throw ComposeError(kComposition,
                           fmt::format("In {}: Override '{} : {}' is defined before '{}: {}'", path,
                                       last->key(legacy_), last->name.value_or("null"),
                                       entry.key(legacy_), entry.name.value_or("null")),
                           "Overrides must be at the end of the defaults list", last->key(legacy_),
                           last->mark);
      }
      if (!entry.group) continue;
      if (old_style) {
        entry.is_override = true;
        result_.warnings.push_back(fmt::format(
            "In {}: Invalid overriding of {}:\nDefault list overrides requires 'override' "
            "keyword.\nSee {}defaults_list_override for more information.",
            path, *entry.group, kUpgrades));
      }
      if (!entry.is_override) continue;
      if (!old_style) last = &entry;
      if (visit.interpolated) {
        throw ComposeError(
            kComposition,
            fmt::format("{}: Default List Overrides are not allowed in the subtree of an "
                        "interpolated config group (override {}={})",
                        path, entry.key(legacy_), entry.name.value_or("null")),
            "choose the option by name", entry.key(legacy_), entry.mark);
      }
      choices_.add(entry, path);
    }
  }

  Files expand_options(const DefaultEntry& entry, const Visit& visit, DefaultsTree& node) {
    node.children.resize(entry.options.size());
    const std::string path = visit.entry.config_path();
    std::vector<Files> parts(entry.options.size());
    for (std::size_t i = entry.options.size(); i-- > 0;) {
      if (entry.options[i].find("${") != std::string::npos) {
        throw ComposeError(
            kComposition,
            fmt::format("In '{}': Defaults List interpolation is not supported in options list "
                        "items: '{}'",
                        path, entry.options[i]),
            "name the option", entry.key(legacy_), entry.mark);
      }
      DefaultEntry file = entry;
      file.is_list = false;
      file.options.clear();
      file.group.reset();
      file.name = *entry.group + "/" + entry.options[i];
      parts[i] = expand({file, path, visit.interpolated, visit.depth + 1}, node.children[i]);
    }
    Files all;
    for (Files& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
    return all;
  }

  /// What ${...} in an option sees: the options chosen so far, and the list itself as `defaults`.
  Node interpolation_map(const std::vector<DefaultEntry>& entries, bool self_added) const {
    Node map = Node::map();
    for (const auto& [key, option] : choices_.known())
      map.set(key, option ? Node(*option) : Node());
    Node list = Node::list();
    for (const DefaultEntry& entry : entries) {
      if (entry.is_self()) {
        if (!self_added) list.items().emplace_back("_self_");
        continue;
      }
      if (!entry.group) {
        list.items().emplace_back(entry.config_path());
        continue;
      }
      Node item = Node::map();
      item.set(entry.key(legacy_), entry.name ? Node(*entry.name) : Node());
      list.items().push_back(std::move(item));
    }
    map.set("defaults", std::move(list));
    return map;
  }

  void substitute(DefaultEntry& entry, const Node& known) {
    const std::string text = entry.group ? *entry.name : entry.config_path();
    constexpr std::string_view kOld = "${defaults.";
    if (entry.group && text.starts_with(kOld) && text.size() > kOld.size() + 1 &&
        text[kOld.size() + 1] == '.') {
      const std::string fact =
          fmt::format("Defaults list element '{}={}' is using a deprecated interpolation form.",
                      entry.key(legacy_), text);
      if (!legacy_) {
        throw ComposeError(kComposition, fact, "write ${GROUP} instead of ${defaults.N.GROUP}",
                           entry.key(legacy_), entry.mark);
      }
      result_.warnings.push_back(fmt::format(
          "\n{}\nSee http://hydra.cc/docs/1.1/upgrades/1.0_to_1.1/defaults_list_interpolation for "
          "migration information.",
          fact));
    }
    try {
      const Node value = resolve_text(text, known, context_);
      if (!value.is_string()) {
        throw ComposeError("AssertionError", fmt::format("'{}' stands for no name", text), "",
                           entry.key(legacy_), entry.mark);
      }
      entry.name = value.as_string();
    } catch (const ComposeError& error) {
      if (!error.is_omegaconf()) throw;
      std::vector<std::string> keys;
      for (const auto& [key, option] : choices_.known()) keys.push_back(key);
      throw ComposeError(
          kComposition,
          fmt::format("Error resolving interpolation '{}', possible interpolation keys: {}", text,
                      fmt::join(keys, ", ")),
          "${group} stands for the option chosen for that group", entry.key(legacy_), entry.mark);
    }
  }

  [[noreturn]] void missing_option(const DefaultEntry& entry) const {
    if (!entry.group) {
      throw ComposeError(
          "ValueError",
          fmt::format("Missing ConfigDefault is not supported : {}", entry.config_path()),
          "name the file, or make it an option of a group", "", entry.mark);
    }
    const std::vector<std::string> options = repository_.options(entry.group_path());
    const std::string key = entry.key(legacy_);
    throw ComposeError(kComposition, fmt::format("You must specify '{0}', e.g, {0}=<OPTION>", key),
                       fmt::format("Available options:\n\t{}", fmt::join(options, "\n\t")), key,
                       entry.mark);
  }

  /// Options of the groups inside a group: "inner/option".
  std::vector<std::string> options_below(const std::string& group) const {
    std::vector<std::string> found;
    for (const std::string& inner : repository_.groups(group)) {
      for (const std::string& option : repository_.options(group + "/" + inner)) {
        found.push_back(inner + "/" + option);
      }
    }
    return found;
  }

  [[noreturn]] void not_found(const Visit& visit) const {
    const DefaultEntry& entry = visit.entry;
    const std::string path = entry.config_path();
    std::vector<std::string> options = repository_.options(entry.group_path());
    if (options.empty()) options = options_below(entry.group_path());
    const std::string near = base::nearest(entry.base_name(), options);
    std::string fact = fmt::format("In '{}': Could not load '{}'.", visit.parent, path);
    std::string remedy = near.empty() ? "" : fmt::format("did you mean '{}'?\n", near);
    if (entry.primary) {
      fact = fmt::format(
          "Cannot find primary config '{}'. Check that it's in your config search path.", path);
    } else if (entry.group) {
      fact = fmt::format("In '{}': Could not find '{}'", visit.parent, path);
      if (!options.empty()) {
        remedy += fmt::format("Available options in '{}':\n\t{}\n", entry.group_path(),
                              fmt::join(options, "\n\t"));
      }
    }
    throw ComposeError("MissingConfigException", fact, remedy + repository_.search_path_text(),
                       path, entry.mark);
  }

  static void check_duplicates(const Files& files) {
    std::set<std::string> seen;
    for (const ResolvedDefault& file : files) {
      if (file.self || file.key.empty() || seen.insert(file.key).second) continue;
      throw ComposeError(
          kComposition,
          fmt::format("{} appears more than once in the final defaults list", file.key),
          fmt::format("'{}' names it; keep one of the entries", file.parent), file.key);
    }
  }

  Repository& repository_;
  bool legacy_;
  bool skip_missing_;
  const ResolveContext& context_;
  GroupChoices choices_;
  DefaultsList result_;
};

}  // namespace

DefaultsList expand_defaults(Repository& repository, const DefaultsRequest& request) {
  return Expansion(repository, request).run(request.primary);
}

}  // namespace polyphony::config
