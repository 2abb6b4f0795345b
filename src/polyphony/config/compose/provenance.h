#pragma once

#include <map>
#include <string>
#include <vector>

#include <polyphony/config/compose/compose.h>
#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// One writing of a value: by a file, or by an override.
struct Setting {
  Mark mark;            ///< the file and line, or "override KEY=VALUE"
  std::string value;    ///< as Python writes it, before interpolation; "" where removed
  std::string config;   ///< the file by its name in the tree, "trainer/default"; "" for an override
  std::string package;  ///< where the file was merged; "" is the root
  std::string parent;   ///< the file whose defaults list named it
  bool removed = false;
};

/// Records, while a configuration is composed, who wrote each value and what it replaced.
class Provenance : public ComposeObserver {
 public:
  void merged(const ResolvedDefault& file, const Node& content, const Node& root) override;
  void changed(const Override& change, const Node& root) override;

  /// The writings of one value, first to last; empty for a key that nothing wrote.
  const std::vector<Setting>& history(const std::string& key) const;
  /// Keys that files of two groups write, with both places. An override file ("@package _global_")
  /// that reaches into another package, and a file that changes what its own defaults list brought,
  /// do so on purpose and are not told.
  std::vector<std::string> conflicts() const;

 private:
  void record(const Node& written, const Node* present, const std::string& path, const Setting& by);
  bool named_by(const std::string& config, const std::string& ancestor) const;

  std::map<std::string, std::vector<Setting>> history_;
  std::map<std::string, std::string> parents_;  // file to the file that named it
};

/// What one value is, and how it came about.
struct Explanation {
  std::string key;
  Node value;  ///< resolved where it could be, else as written
  std::vector<Setting> history;
  /// The values that its text refers to by ${…}, explained alike; `value` is theirs.
  std::vector<Explanation> references;
  std::vector<std::string> environment;  ///< names that ${oc.env:…} reads
};

/// Explains every value below a key; all of them for "".
/// @throws ComposeError (ConfigKeyError) for an unknown key, naming the nearest
std::vector<Explanation> explain(const Composition& composition, const Provenance& provenance,
                                 const std::string& key);

std::string explanation_text(const std::vector<Explanation>& values);
std::string explanation_json(const std::vector<Explanation>& values);

}  // namespace polyphony::config
