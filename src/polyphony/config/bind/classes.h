#pragma once

#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// A class that YAML can name in `_target_`.
struct RegisteredClass {
  std::string name;  ///< dotted, e.g. "polyphony.callbacks.EarlyStopping"
  std::string kind;  ///< the interface: "Callback", "Model", …
  std::string doc;
  void (*describe)(Fields&);                              ///< its options
  void* (*create)(const Node&, const std::string& path);  ///< owning pointer to the interface
};

/// All classes, by name. @throws std::logic_error at start where two take one name
void register_class(RegisteredClass entry);
const std::vector<RegisteredClass>& registered_classes();
/// Looks `_target_` up among the classes of a kind: our names, Python's names for them
/// (alias_table.cpp), or the class name alone.
/// @throws ConfigError with place, the nearest name and all names of that kind
const RegisteredClass& find_class(const Node& node, const std::string& kind,
                                  const std::string& path);

}  // namespace polyphony::config
