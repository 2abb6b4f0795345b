#include <polyphony/optim/schedule.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <polyphony/config/registry.h>

namespace polyphony::optim {

void WarmupCosineOptions::describe(config::Fields& f) {
  f("warmup_ratio", warmup_ratio, "share of all steps in which the rate rises from 0");
  f.check("warmup_ratio", warmup_ratio >= 0 && warmup_ratio < 1, "in [0, 1)");
  f("eta_min_ratio", eta_min_ratio, "share of the rate that is left at the end");
  f.check("eta_min_ratio", eta_min_ratio >= 0 && eta_min_ratio <= 1, "in [0, 1]");
}

double WarmupCosine::factor(std::int64_t step, std::int64_t total) const {
  const auto warmup = static_cast<std::int64_t>(static_cast<double>(total) * options_.warmup_ratio);
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);
  const auto span = static_cast<double>(std::max<std::int64_t>(total - warmup, 1));
  const double progress = std::min(static_cast<double>(step - warmup) / span, 1.0);
  const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return options_.eta_min_ratio + (1.0 - options_.eta_min_ratio) * cosine;
}

POLYPHONY_REGISTER(Schedule, Constant, "polyphony.optim.Constant",
                   "the optimizer's own rate throughout")
POLYPHONY_REGISTER(Schedule, WarmupCosine, "polyphony.optim.WarmupCosine",
                   "linear warm-up, then half a cosine")

}  // namespace polyphony::optim
