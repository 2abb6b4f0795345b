#pragma once

#include <utility>

#include <polyphony/config/bind/fields.h>

namespace polyphony::callbacks {

/// Whether a smaller or a larger value of the monitored metric is better.
enum class Mode { kMin, kMax };

/// The value that any other beats.
double worst(Mode mode);
/// Strictly better, as `<` or `>` of the mode.
bool better(Mode mode, double value, double than);

}  // namespace polyphony::callbacks

template <>
struct polyphony::config::EnumNames<polyphony::callbacks::Mode> {
  static constexpr std::pair<const char*, polyphony::callbacks::Mode> kTable[] = {
      {"min", polyphony::callbacks::Mode::kMin}, {"max", polyphony::callbacks::Mode::kMax}};
};
