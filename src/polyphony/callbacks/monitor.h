#pragma once

#include <optional>
#include <string>

namespace polyphony::train {
class Trainer;
}

namespace polyphony::callbacks {

/// The newest value of a logged metric.
/// @throws ConfigError if it was never logged and `strict`: names the metrics there are and the
///   nearest; otherwise nullopt
std::optional<double> monitored(train::Trainer& trainer, const std::string& monitor,
                                const std::string& who, bool strict);

}  // namespace polyphony::callbacks
