#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

enum class OverrideType { kChange, kAdd, kForceAdd, kDelete };

/// What a sweeping override draws from.
struct Sweep {
  enum class Kind { kChoice, kRange, kInterval, kGlob };
  Kind kind = Kind::kChoice;
  std::vector<Node> choices;         ///< kChoice
  bool simple = false;               ///< written "a,b" rather than choice(a,b)
  bool nested = false;               ///< a choice is itself a sweep: it parses, but has no values
  Node start, stop, step;            ///< kRange; kInterval uses start and stop
  std::vector<std::string> include;  ///< kGlob
  std::vector<std::string> exclude;  ///< kGlob
  bool shuffle = false;
  std::vector<std::string> tags;
};

/// One command-line override: [~|+|++]KEY[@PACKAGE]=VALUE, in Hydra's grammar.
struct Override {
  OverrideType type = OverrideType::kChange;
  std::string key;                     ///< "trainer.max_epochs", or a group, "model/head"
  std::optional<std::string> package;  ///< after '@'
  bool has_value = false;              ///< false only for "~key"
  Node value;                          ///< marked "override TEXT"
  std::optional<Sweep> sweep;          ///< set where the value is a sweep
  bool holds_sweep = false;  ///< a list or mapping with a sweep inside: it parses, no more
  std::string text;          ///< as written

  /// "+key@package", as it begins an override.
  std::string key_element() const;
  /// The value as Hydra writes it into a job's overrides.
  std::string value_text() const;
};

/// @throws ComposeError (OverrideParseException) with the text, the column and a remedy
Override parse_override(const std::string& text);
std::vector<Override> parse_overrides(const std::vector<std::string>& texts);

/// A value in override grammar: quotes kept, special characters escaped.
std::string override_value_text(const Node& value);

}  // namespace polyphony::config
