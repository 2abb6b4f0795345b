#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// A parsed OmegaConf text: what ${...} asks for, and the plain pieces around it.
struct Expression {
  enum class Kind {
    kLiteral,  ///< `literal`
    kText,     ///< `parts` joined; a single interpolation keeps its type
    kQuoted,   ///< as kText, but always a string
    kList,     ///< `parts`
    kMap,      ///< `parts`: key, value, key, value, …
    kKey,      ///< ${a.b[c]}: `parts` joined are the key as written, dots and brackets included
    kCall,     ///< ${name:arguments}: `names` parts of the resolver's name, then the arguments
  };
  Kind kind = Kind::kLiteral;
  Node literal;
  std::vector<Expression> parts;
  std::size_t names = 0;

  bool is_interpolation() const { return kind == Kind::kKey || kind == Kind::kCall; }
};

/// A value of a configuration: plain text with interpolations.
/// @throws ComposeError (GrammarParseError) with the column
Expression parse_interpolations(std::string_view text);
/// One element as it may stand in a resolver's arguments: number, word, quoted text, list, mapping.
/// @throws ComposeError (GrammarParseError) with the column
Expression parse_element(std::string_view text);

/// True for a text with ${...} in it.
bool has_interpolation(const Node& node);
/// Checks the syntax of every ${...} under a node.
/// @throws ComposeError (GrammarParseError) with key, file and line
void check_interpolations(const Node& node, const std::string& key = "");

}  // namespace polyphony::config
