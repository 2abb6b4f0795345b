#pragma once

#include <functional>
#include <string>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// A resolved configuration, made ready for building:
/// - the root's `aliases:` table (a user's dotted name to one that `polyphony list` prints, or
///   Python's) is applied to every `_target_`;
/// - what later versions of the Python stack renamed or removed (renamed_table.cpp) is looked for
/// in
///   every mapping with a `_target_`, and in the `trainer` section. It is an error that says since
///   when and what to write, unless `compat.accept_renamed` is true: then it is translated and
///   told to `warn`. An option that the class itself has is never old.
/// @throws ConfigError with file, line, key path and what to write
Node up_to_date(Node config, const std::function<void(const std::string&)>& warn);

}  // namespace polyphony::config
