#pragma once

#include <functional>
#include <optional>
#include <string>

namespace polyphony {

/// Looks a variable up; nullopt where it is unset or empty. Tests hand in fakes.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The process's environment.
Environment process_environment();

}  // namespace polyphony
