#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace polyphony::config {

/// What `polyphony config migrate` must leave to a person.
struct ByHand {
  int line = 0;  ///< from 1
  std::string text;
};

/// One file of a configuration tree, and what it becomes. Comments, order and spacing stay: only
/// the lines with old names change.
struct Migration {
  std::string path;
  std::string before, after;
  std::vector<ByHand> by_hand;

  bool changed() const { return before != after; }
};

struct TextFile {
  std::string path;  ///< relative to the tree, "trainer/default.yaml": the folder is the group
  std::string text;
};

/// Rewrites what renamed_table.cpp knows in every file of a tree. A mapping's class is told by its
/// `_target_`, else by its key or group ("trainer", "model_checkpoint", …). A value that an option
/// takes from a variable (`monitor: ${monitor}`) is rewritten where the variable stands.
/// Running it on its own result changes nothing.
/// @throws ComposeError for a file that is no YAML
std::vector<Migration> migrate(const std::vector<TextFile>& files);

/// The .yaml and .yml files below a directory, sorted, or the one file. @throws IoError
std::vector<TextFile> read_tree(const std::filesystem::path& path);

/// As `diff -u` writes it; "" for equal texts.
std::string unified_diff(const std::string& path, const std::string& before,
                         const std::string& after);

}  // namespace polyphony::config
