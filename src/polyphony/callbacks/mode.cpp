#include <polyphony/callbacks/mode.h>

#include <limits>

namespace polyphony::callbacks {

double worst(Mode mode) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return mode == Mode::kMin ? kInfinity : -kInfinity;
}

bool better(Mode mode, double value, double than) {
  return mode == Mode::kMin ? value < than : value > than;
}

}  // namespace polyphony::callbacks
