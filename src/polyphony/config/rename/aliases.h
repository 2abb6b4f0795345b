#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace polyphony::config {

/// One class of the Python stack and what it is here: a line of alias_table.cpp.
struct Alias {
  std::string_view family;  ///< the package: "lightning", "torch", "torchmetrics", …
  std::string_view name;    ///< dotted, below the package: "callbacks.EarlyStopping"
  std::string_view ours;    ///< registered name, whether built yet or not; "" where there is none
  std::string_view note;    ///< what to do where we have no such class; may be empty
};

/// A package by all the names it has had, e.g. "pytorch_lightning" and "lightning.pytorch".
struct AliasFamily {
  std::string_view family;
  std::string_view root;
};

/// The table, compiled in: no file is read to look a name up.
std::span<const Alias> alias_rows();
std::span<const AliasFamily> alias_families();

/// The package and the rest of a dotted Python name.
struct PythonName {
  std::string_view family;
  std::string_view rest;  ///< "callbacks.early_stopping.EarlyStopping"
};
/// Nothing for a name of no package that we know, such as a user's own "src.…".
std::optional<PythonName> python_name(std::string_view target);

/// The row of a Python class. A row's package part must begin the name and its class end it, so
/// that "lightning.pytorch.callbacks.early_stopping.EarlyStopping" finds "callbacks.EarlyStopping".
/// "….from_pretrained" finds the class.
const Alias* find_alias(std::string_view target);

/// Python names, written out with the family's first root, that mean one of our classes.
std::vector<std::string> python_names_of(std::string_view ours);

/// The part after the last dot.
std::string_view class_part(std::string_view dotted);

}  // namespace polyphony::config
