#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/node.h>

namespace polyphony::config {

/// One configuration file, read.
struct ConfigFile {
  Node content;                        ///< without `defaults`
  Node defaults;                       ///< the defaults list; null where absent
  std::optional<std::string> package;  ///< of the "# @package" header
  std::filesystem::path path;
};

/// The configuration files under the search path, each read once.
class Repository {
 public:
  /// @param legacy  version_base 1.1: names may end in ".yml"
  Repository(std::vector<std::filesystem::path> roots, bool legacy);

  /// Null pointer where no such file exists. @param name  "model/small", without extension
  const ConfigFile* load(const std::string& name);
  bool group_exists(const std::string& group) const;
  /// Names of a group's files, sorted, without extension.
  std::vector<std::string> options(const std::string& group) const;
  /// "Config search path:" and its folders, for messages.
  std::string search_path_text() const;

 private:
  std::vector<std::filesystem::path> roots_;
  bool legacy_;
  std::map<std::string, ConfigFile> files_;
};

}  // namespace polyphony::config
