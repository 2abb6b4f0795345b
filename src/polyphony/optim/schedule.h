#pragma once

#include <cstdint>

#include <polyphony/config/fields.h>

namespace polyphony::optim {

/// Learning rate over a run, as a factor of the optimizer's own.
class Schedule {
 public:
  static constexpr const char* kKind = "Schedule";
  virtual ~Schedule() = default;
  /// @param step  optimizer steps done, from 0; @param total  steps of the whole run
  virtual double factor(std::int64_t step, std::int64_t total) const = 0;
};

struct ConstantOptions {
  void describe(config::Fields&) {}
};

class Constant : public Schedule {
 public:
  using Options = ConstantOptions;
  explicit Constant(Options) {}
  double factor(std::int64_t, std::int64_t) const override { return 1.0; }
};

struct WarmupCosineOptions {
  double warmup_ratio = 0.05;
  double eta_min_ratio = 0.01;

  void describe(config::Fields& f);
};

/// Linear from 0 over the first int(total * warmup_ratio) steps, then half a cosine down to
/// eta_min_ratio: LambdaLR and CosineAnnealingLR in SequentialLR, as the reference sets them up.
class WarmupCosine : public Schedule {
 public:
  using Options = WarmupCosineOptions;
  explicit WarmupCosine(Options options) : options_(options) {}
  double factor(std::int64_t step, std::int64_t total) const override;

 private:
  Options options_;
};

}  // namespace polyphony::optim
