#pragma once

#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/compose/repository.h>
#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// An entry of a defaults list: a file named by its path, or an option of a group.
struct DefaultEntry {
  std::optional<std::string> group;    ///< as written; nothing for a file named by path
  std::optional<std::string> name;     ///< the path or the option; nothing for `group: null`
  std::vector<std::string> options;    ///< of "group: [a, b]"
  bool is_list = false;                ///< `options` stand for `name`
  std::optional<std::string> package;  ///< after '@'
  std::optional<std::string> header;   ///< the option's own "# @package", absolute
  bool optional = false;
  bool is_override = false;
  bool external = false;  ///< appended on the command line
  bool primary = false;
  std::string base_dir;  ///< group of the file it stands in
  std::string parent_package;
  Mark mark;

  bool is_self() const { return !group && name == "_self_"; }
  bool is_interpolation() const { return name && name->find("${") != std::string::npos; }
  bool is_missing() const { return !is_list && name && (group ? *name : base_name()) == "???"; }

  /// "pump/driver": where the option's file lies.
  std::string group_path() const;
  /// "servo", the file's own name.
  std::string base_name() const;
  /// "pump/driver/servo".
  std::string config_path() const;
  /// Where the file is merged. @param legacy  version_base 1.1: "_name_" stands for the option
  std::string final_package(bool use_header, bool legacy) const;
  /// "group", or "group@package" where the package is not the group's own.
  std::string key(bool legacy) const;
  /// Says which file the entry stands in.
  void set_parent(const std::string& group, const std::string& package);
  /// Takes the "# @package" line of the entry's own file.
  void set_header(const std::string& package, bool legacy);
};

/// Reads the entries of a file's defaults list.
/// @param warnings  receives those about the ways of version_base 1.1
/// @throws ComposeError (ValueError) for what is no entry
std::vector<DefaultEntry> read_default_entries(const ConfigFile& file,
                                               const std::string& config_path, bool legacy,
                                               std::vector<std::string>& warnings);

}  // namespace polyphony::config
