#include <polyphony/config/compose/default_entry.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

constexpr const char* kHeaderChanges =
    "https://hydra.cc/docs/1.2/upgrades/1.0_to_1.1/changes_to_package_header";

std::string without_slash(const std::string& path) {
  return path.starts_with('/') ? path.substr(1) : path;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string dotted(std::string path) {
  std::replace(path.begin(), path.end(), '/', '.');
  return path;
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

[[noreturn]] void bad_entry(const std::string& config_path, const std::string& fact,
                            const Mark& mark, const std::string& key = "") {
  throw ComposeError("ValueError", fmt::format("In '{}': {}", config_path, fact),
                     "an entry is a file name, or 'group: option'", key, mark);
}

/// Takes "optional" and "override" off the words before a group's name; others are ignored.
void take_keywords(const std::string& text, DefaultEntry& entry) {
  std::size_t at = 0;
  bool known = true;
  for (std::size_t blank = text.find(' '); blank != std::string::npos; blank = text.find(' ', at)) {
    const std::string word = text.substr(at, blank - at);
    entry.optional |= known && word == "optional";
    entry.is_override |= known && word == "override";
    known = known && (word == "optional" || word == "override");
    at = blank + 1;
  }
  entry.group = text.substr(at);
}

void read_option(const Node& value, const std::string& config_path, const Mark& mark,
                 DefaultEntry& entry) {
  if (value.is_list()) {
    entry.is_list = true;
    for (const Node& option : value.items()) {
      if (!option.is_string()) {
        bad_entry(config_path,
                  fmt::format("an option in a list must be a string, not {}",
                              Node::kind_name(option.kind())),
                  mark, *entry.group);
      }
      entry.options.push_back(option.as_string());
    }
  } else if (value.is_string()) {
    entry.name = value.as_string();
  } else if (!value.is_null()) {
    bad_entry(config_path,
              fmt::format("the option of '{}' must be a string, a list or null, not {} (quote it "
                          "if a file of this name is meant)",
                          *entry.group, Node::kind_name(value.kind())),
              mark, *entry.group);
  }
}

/// "group@package" or "group@package:renamed", apart.
std::string take_package(const std::string& text, DefaultEntry& entry) {
  const std::size_t at = text.find('@');
  if (at == std::string::npos) return text;
  const std::string package = text.substr(at + 1);
  entry.package = package.substr(0, package.find(':'));
  return text.substr(0, at);
}

}  // namespace

std::string DefaultEntry::group_path() const {
  const std::string written = group ? *group : name.value_or("");
  std::string path = group ? without_slash(written) : folder_of(without_slash(written));
  if (written.starts_with('/') || base_dir.empty()) return path;
  return path.empty() ? base_dir : base_dir + "/" + path;
}

std::string DefaultEntry::base_name() const {
  const std::string whole = name.value_or("None");
  const std::size_t slash = whole.rfind('/');
  return group || slash == std::string::npos ? whole : whole.substr(slash + 1);
}

std::string DefaultEntry::config_path() const {
  if (group) return group_path() + "/" + base_name();
  const std::string path = name.value_or("");
  if (path.starts_with('/')) return path.substr(1);
  return base_dir.empty() ? path : base_dir + "/" + path;
}

std::string DefaultEntry::final_package(bool use_header, bool legacy) const {
  std::optional<std::string> own = package;
  if (!own && use_header) own = header;
  if (!own) {
    const std::string written = without_slash(group ? *group : name.value_or(""));
    own = dotted(group ? written : folder_of(written));
  }
  if (legacy && name && !is_list) replace_all(*own, "_name_", base_name());
  std::string full = parent_package.empty() ? *own
                     : own->empty()         ? parent_package
                                            : parent_package + "." + *own;
  constexpr std::string_view kGlobal = "_global_";
  const std::size_t global = full.rfind(kGlobal);
  if (global == std::string::npos) return full;
  return full.substr(std::min(global + kGlobal.size() + 1, full.size()));
}

std::string DefaultEntry::key(bool legacy) const {
  std::string path = group_path();
  const std::string actual = final_package(false, legacy);
  if (dotted(path) == actual) return path;
  return path + "@" + (actual.empty() ? "_global_" : actual);
}

void DefaultEntry::set_parent(const std::string& parent_group, const std::string& parent_pkg) {
  base_dir = parent_group;
  parent_package = parent_pkg;
  if (package && package->find("_group_") != std::string::npos) {
    replace_all(*package, "_group_", dotted(group_path()));
    package = "_global_." + *package;
  }
}

void DefaultEntry::set_header(const std::string& written, bool legacy) {
  if (legacy && written == "_group_") return;
  std::string absolute = written;
  if (written != "_global_" && !written.starts_with("_global_.")) {
    absolute = written.empty() ? "_global_" : "_global_." + written;
  }
  if (legacy) replace_all(absolute, "_group_", dotted(group_path()));
  header = absolute;
}

std::vector<DefaultEntry> read_default_entries(const ConfigFile& file,
                                               const std::string& config_path, bool legacy,
                                               std::vector<std::string>& warnings) {
  std::vector<DefaultEntry> entries;
  for (const Node& item : file.defaults.items()) {
    DefaultEntry entry;
    entry.mark = item.mark();
    if (item.is_string()) {
      entry.name = take_package(item.as_string(), entry);
      if (entry.is_self() && entry.package) {
        throw ComposeError("ValueError", "_self_@PACKAGE is not supported",
                           "write the file's package in its header: # @package NAME", "",
                           item.mark());
      }
    } else if (item.is_map()) {
      Node map = item;
      const Node* flag = legacy && map.entries().size() > 1 ? map.find("optional") : nullptr;
      const bool optional = flag != nullptr && flag->as_bool();
      if (flag != nullptr) map.erase("optional");
      if (map.entries().size() != 1) {
        bad_entry(
            config_path,
            fmt::format("an entry has one key, not {}: {}", map.entries().size(), python_repr(map)),
            item.mark());
      }
      const auto& [key, value] = map.entries()[0];
      if (!key.is_string()) {
        throw ComposeError("AssertionError",
                           fmt::format("In '{}': a group's name must be a string", config_path),
                           "quote it", "", item.mark());
      }
      take_keywords(take_package(key.as_string(), entry), entry);
      if (optional) {
        entry.optional = true;
        warnings.push_back(fmt::format(
            "In {}: 'optional: true' is deprecated.\nUse 'optional {}: {}' instead.\nSupport for "
            "the old style is removed for Hydra version_base >= 1.2",
            config_path, key.as_string(), python_str(value)));
      }
      read_option(value, config_path, item.mark(), entry);
    } else {
      bad_entry(config_path,
                fmt::format("a {} is no entry of a defaults list", Node::kind_name(item.kind())),
                item.mark());
    }
    if (legacy && entry.package && entry.package->find("_name_") != std::string::npos) {
      warnings.push_back(
          fmt::format("In {}: Defaults List contains deprecated keyword _name_, see {}\n",
                      config_path, kHeaderChanges));
    }
    if (entry.package == "_here_") entry.package = "";
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace polyphony::config
