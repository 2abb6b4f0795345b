#pragma once

#include <polyphony/optim/schedule.h>

namespace polyphony::optim {

struct SwaLROptions : ScheduleTiming {
  double swa_lr = 0;
  std::int64_t anneal_epochs = 10;
  bool cosine = true;
};

/// torch.optim.swa_utils.SWALR: from the rate it finds to swa_lr, by epoch.
class SwaLR : public Schedule {
 public:
  explicit SwaLR(SwaLROptions options) : Schedule(options), options_(std::move(options)) {}
  void attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) override;

 protected:
  double rate(double current, double base) const override;

 private:
  double share(double done) const;

  SwaLROptions options_;
};

}  // namespace polyphony::optim
