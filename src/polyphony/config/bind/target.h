#pragma once

#include <string>
#include <string_view>

#include <polyphony/config/bind/classes.h>
#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// What a `_target_` comes to.
struct Target {
  const RegisteredClass* entry = nullptr;  ///< null where we have no such class
  std::string how;      ///< "" for our own name, else "alias", "class name", "section"
  std::string section;  ///< the part of the configuration whose own options it has: "trainer"
  std::string fact;     ///< without entry: what is wrong, e.g. "… has no counterpart yet"
  std::string remedy;   ///< without entry: what to do
};

/// Looks a name up: our own names first, then the table of Python names, then the class name alone
/// ("src.models.Tiny" finds "mine.Tiny"), where it is the only one.
/// @param kind  restricts to one interface; "" for any
/// What is no class but a part of every experiment, such as the trainer, is found as a section.
Target find_target(std::string_view name, std::string_view kind = "");

/// Every `_target_` below a node, with what it comes to, as a table.
struct TargetReport {
  std::string text;
  std::size_t unresolved = 0;
};
TargetReport report_targets(const Node& config);

}  // namespace polyphony::config
