#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// One configuration file, read.
struct ConfigFile {
  Node content;                        ///< a mapping or a list, without `defaults`
  Node defaults;                       ///< the defaults list; null where absent
  std::optional<std::string> package;  ///< of the "# @package" header
  std::string path;                    ///< for messages
};

/// A place on the search path, named as Hydra names it.
struct ConfigSource {
  std::string provider;  ///< "hydra", "main", "hydra.searchpath in main", …
  std::string scheme;    ///< "file", "pkg" (only hydra.conf exists here), "structured"
  std::string path;

  /// @param location  "file://DIR", "pkg://NAME" or a bare directory
  static ConfigSource parse(std::string provider, const std::string& location);
  std::string text() const { return "provider=" + provider + ", path=" + scheme + "://" + path; }
  bool available() const;
};

/// The configuration files under the search path, each read once.
class Repository {
 public:
  /// Hydra's own tree comes first on the path, then `root`, then `more`.
  /// @param legacy  version_base 1.1: names may end in ".yml"
  Repository(const std::filesystem::path& root, const std::vector<std::filesystem::path>& more,
             bool legacy);

  /// Appends to the search path.
  void add_source(ConfigSource source) { sources_.insert(sources_.end() - 1, std::move(source)); }
  const std::vector<ConfigSource>& sources() const { return sources_; }

  /// Null pointer where no such file exists. @param name  "model/small", without extension
  /// @throws ComposeError for bad YAML, OmegaConf's errors as ConfigCompositionException
  const ConfigFile* load(const std::string& name);
  bool group_exists(const std::string& group) const;
  /// Names of a group's files, sorted, without extension.
  std::vector<std::string> options(const std::string& group) const;
  /// Names of the groups inside a group ("" for the top), sorted.
  std::vector<std::string> groups(const std::string& parent) const;
  /// "Config search path:" and its places, for messages.
  std::string search_path_text() const;
  /// True once a ".yml" file was asked for by name (deprecated).
  bool used_yml() const { return used_yml_; }

 private:
  bool has_extension(const std::string& name) const;
  std::shared_ptr<const ConfigFile> read(const std::string& name);

  std::vector<ConfigSource> sources_;
  bool legacy_;
  bool used_yml_ = false;
  std::map<std::string, std::shared_ptr<const ConfigFile>> files_;  // null: looked for in vain
};

}  // namespace polyphony::config
