#pragma once

#include <string>

namespace polyphony::config {

/// What `polyphony list` prints.
/// - "": every kind with its classes, one line each;
/// - a kind ("Callback", "callbacks"): its classes, one line each;
/// - a class (ours, Python's name for it, or the class name alone): every option with type,
/// default,
///   allowed values and meaning, and the Python names that mean it.
/// @throws UsageError for another name, with the nearest
std::string catalogue(const std::string& name);

}  // namespace polyphony::config
