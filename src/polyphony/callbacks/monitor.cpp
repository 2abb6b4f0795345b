#include <polyphony/callbacks/monitor.h>

#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

std::optional<double> monitored(train::Trainer& trainer, const std::string& monitor,
                                const std::string& who, bool strict) {
  const double* value = train::find_value(trainer.callback_metrics(), monitor);
  if (value != nullptr) return *value;
  if (!strict) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& [name, ignored] : trainer.callback_metrics()) names.push_back(name);
  const std::string nearest = base::nearest(monitor, names);
  throw ConfigError(
      fmt::format("{}.monitor: '{}' was never logged", who, monitor),
      fmt::format("{}logged: {}", nearest.empty() ? "" : "did you mean '" + nearest + "'? ",
                  fmt::join(names, ", ")));
}

}  // namespace polyphony::callbacks
