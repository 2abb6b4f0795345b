#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// Does the present version still take the old form?
enum class OldForm {
  kGone,         ///< no: it is an error
  kDiscouraged,  ///< yes, as the later versions of its project do; only `config migrate` rewrites
                 ///< it
};

/// An option, or a value of one, that a later version renamed or removed: a line of
/// renamed_table.cpp.
struct RenamedOption {
  std::string_view owner;   ///< class name, "Trainer"; "*" for any; "A|B" for several
  std::string_view option;  ///< its old name
  std::string_view value;   ///< only this value is old; "" for any; one '*' stands for any text
  std::string_view since;   ///< "Lightning 1.7"
  /// What to write: "KEY=VALUE" parts joined by "; ". {} is the old value, * what '*' stood for.
  /// A key that begins with '/' stands at the root of the configuration. "" where removed.
  std::string_view use;
  std::string_view note = {};  ///< more to do, or why it is gone; may be empty
  OldForm form = OldForm::kGone;
};

/// A class that a later version renamed or removed.
struct RenamedClass {
  std::string_view family;  ///< as in Alias
  std::string_view name;    ///< dotted, below the package; matched as Alias rows are
  std::string_view since;
  std::string_view use;  ///< the new dotted name; "" where removed
  std::string_view note = {};
};

/// Text inside values, such as "${env:", and what replaced it.
struct RenamedText {
  std::string_view text;
  std::string_view since;
  std::string_view use;
};

std::span<const RenamedOption> renamed_options();
std::span<const RenamedClass> renamed_classes();
std::span<const RenamedText> renamed_texts();

/// The row for an option of a class, or null. @param owner  dotted name or class name
const RenamedOption* find_renamed(std::string_view owner, std::string_view option,
                                  const Node& value);
const RenamedClass* find_renamed_class(std::string_view target);

/// "renamed in Lightning 1.7: use trainer.devices (and trainer.accelerator=gpu)".
/// @param path  key path of the mapping that holds the option
std::string renamed_text(const RenamedOption& row, const Node& value, const std::string& path);
std::string renamed_class_text(const RenamedClass& row);

/// One "KEY=VALUE" of a row's `use`.
struct Replacement {
  std::string key;    ///< without the leading '/'
  bool root = false;  ///< stands at the root
  bool keeps_value = false;
  std::string value;  ///< YAML text; empty where keeps_value
};
/// The replacements of a row for a value, in order; empty where the option is removed.
std::vector<Replacement> replacements(const RenamedOption& row, const Node& value);

}  // namespace polyphony::config
