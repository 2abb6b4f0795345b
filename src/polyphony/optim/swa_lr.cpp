#include <polyphony/optim/swa_lr.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace polyphony::optim {

void SwaLR::attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) {
  Schedule::attach(optimizer, total_steps);
}

double SwaLR::share(double done) const {
  return options_.cosine ? (1 - std::cos(std::numbers::pi * done)) / 2 : done;
}

double SwaLR::rate(double current, double) const {
  if (last_epoch() == 0) return current;
  // PyTorch recovers the first rate from the last one.
  const auto length = static_cast<double>(std::max<std::int64_t>(1, options_.anneal_epochs));
  const auto at = [&](std::int64_t epoch) {
    return share(std::clamp(static_cast<double>(epoch) / length, 0.0, 1.0));
  };
  if (options_.anneal_epochs == 0) return options_.swa_lr;
  const double before = at(last_epoch() - 1);
  const double first =
      before == 1 ? options_.swa_lr : (current - before * options_.swa_lr) / (1 - before);
  const double now = at(last_epoch());
  return options_.swa_lr * now + first * (1 - now);
}

}  // namespace polyphony::optim
