#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// A YAML node before its tag is given a meaning. An aliased node is there once, named often.
struct YamlTree {
  enum class Kind { kScalar, kSequence, kMapping };
  using Pointer = std::shared_ptr<YamlTree>;

  Kind kind = Kind::kScalar;
  std::string tag;       ///< "int" of "tag:yaml.org,2002:int"; resolved where none was written
  bool foreign = false;  ///< a tag that is not YAML's own ("!mine"), whole
  std::string text;
  std::vector<Pointer> items;
  std::vector<std::pair<Pointer, Pointer>> entries;
  int line = 0;  ///< from 1
};

inline constexpr std::string_view kYamlTag = "tag:yaml.org,2002:";

/// A document's nodes. An alias inside its own anchor makes a circle of owners, which the end of
/// the document breaks.
struct YamlDocument {
  YamlTree::Pointer root;                   ///< null for an empty text
  std::vector<YamlTree::Pointer> anchored;  ///< through which every circle leads

  YamlDocument() = default;
  YamlDocument(YamlDocument&&) = default;
  YamlDocument& operator=(YamlDocument&&) = delete;
  ~YamlDocument();
};

/// Reads one document.
/// @param text  UTF-8 with '\n' line ends
/// @throws ComposeError: ScannerError, ParserError, ComposerError, RecursionError
YamlDocument compose_yaml(std::string_view text, const std::shared_ptr<const std::string>& source);

/// The tag of an unquoted scalar ("int"): PyYAML's rules for YAML 1.1 with OmegaConf's float rule.
std::string_view plain_scalar_tag(std::string_view text);

}  // namespace polyphony::config
