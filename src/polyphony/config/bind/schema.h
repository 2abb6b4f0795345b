#pragma once

#include <string>
#include <vector>

#include <polyphony/config/bind/classes.h>
#include <polyphony/config/bind/fields.h>

namespace polyphony::config {

/// JSON Schema (draft 2020-12) of one class's mapping, `_target_` and Hydra's other keys included.
/// Every value may be an interpolation or "???" instead. Nested classes are under "$defs" by kind.
std::string class_schema(const RegisteredClass& entry);

/// JSON Schema of a whole configuration with these options at its root. Other keys at the root are
/// variables, and of any type.
std::string root_schema(const std::string& title, const std::vector<FieldDoc>& options);

}  // namespace polyphony::config
