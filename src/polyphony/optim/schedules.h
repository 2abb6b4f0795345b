#pragma once

#include <polyphony/optim/schedule.h>

namespace polyphony::optim {

struct ConstantOptions : ScheduleTiming {
  void describe(config::Fields& f) { describe_timing(f); }
};

/// The optimizer's own rate throughout.
class Constant : public Schedule {
 public:
  using Options = ConstantOptions;
  explicit Constant(Options options = {}) : Schedule(std::move(options)) {}

 protected:
  double rate(double, double base) const override { return base; }
};

struct LinearWarmupOptions : ScheduleTiming {
  std::int64_t warmup_steps = 0;
  std::optional<double> warmup_ratio;  ///< share of all steps, in place of warmup_steps
  bool decay = true;                   ///< down to 0 at the last step afterwards, as transformers
  std::optional<std::int64_t> total_steps;

  LinearWarmupOptions() { interval = Interval::kStep; }
  void describe(config::Fields& f);
};

/// LambdaLR with a linear warm-up: from 0 to the rate in warmup_steps, then down to 0 at the last
/// step (transformers' get_linear_schedule_with_warmup), or on at step / warmup_steps.
class LinearWarmup : public Schedule {
 public:
  using Options = LinearWarmupOptions;
  explicit LinearWarmup(Options options) : Schedule(options), options_(std::move(options)) {}
  void attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) override;
  tensor::Value state_dict() const override;

 protected:
  double rate(double, double base) const override;

 private:
  Options options_;
  std::int64_t warmup_ = 0;
  std::int64_t total_ = 0;
};

struct CosineAnnealingLROptions : ScheduleTiming {
  std::int64_t t_max = 0;
  double eta_min = 0;
  void describe(config::Fields& f);
};

/// Half a cosine in T_max steps, and up again behind it.
class CosineAnnealingLR : public Schedule {
 public:
  using Options = CosineAnnealingLROptions;
  explicit CosineAnnealingLR(Options options) : Schedule(options), options_(std::move(options)) {}
  tensor::Value state_dict() const override;

 protected:
  double rate(double current, double base) const override;
  double rate_at(double current, double base) const override;

 private:
  Options options_;
};

struct LinearLROptions : ScheduleTiming {
  double start_factor = 1.0 / 3;
  double end_factor = 1.0;
  std::int64_t total_iters = 5;
  void describe(config::Fields& f);
};

/// The rate times a factor that goes from start_factor to end_factor in total_iters steps.
class LinearLR : public Schedule {
 public:
  using Options = LinearLROptions;
  explicit LinearLR(Options options) : Schedule(options), options_(std::move(options)) {}

 protected:
  double rate(double current, double base) const override;
  double rate_at(double current, double base) const override;

 private:
  Options options_;
};

struct StepLROptions : ScheduleTiming {
  std::int64_t step_size = 1;
  double gamma = 0.1;
  void describe(config::Fields& f);
};

/// The rate times gamma after every step_size steps.
class StepLR : public Schedule {
 public:
  using Options = StepLROptions;
  explicit StepLR(Options options) : Schedule(options), options_(std::move(options)) {}

 protected:
  double rate(double current, double base) const override;
  double rate_at(double current, double base) const override;

 private:
  Options options_;
};

struct MultiStepLROptions : ScheduleTiming {
  std::vector<std::int64_t> milestones;
  double gamma = 0.1;
  void describe(config::Fields& f);
};

/// The rate times gamma at each milestone.
class MultiStepLR : public Schedule {
 public:
  using Options = MultiStepLROptions;
  explicit MultiStepLR(Options options) : Schedule(options), options_(std::move(options)) {}

 protected:
  double rate(double current, double base) const override;
  double rate_at(double current, double base) const override;

 private:
  Options options_;
};

struct ExponentialLROptions : ScheduleTiming {
  double gamma = 0.9;
  void describe(config::Fields& f);
};

/// The rate times gamma at each step.
class ExponentialLR : public Schedule {
 public:
  using Options = ExponentialLROptions;
  explicit ExponentialLR(Options options) : Schedule(options), options_(std::move(options)) {}

 protected:
  double rate(double current, double base) const override;
  double rate_at(double current, double base) const override;

 private:
  Options options_;
};

struct CosineAnnealingWarmRestartsOptions : ScheduleTiming {
  std::int64_t t_0 = 1;
  std::int64_t t_mult = 1;
  double eta_min = 0;
  void describe(config::Fields& f);
};

/// Half cosines from the rate down, the first of T_0 steps, each T_mult times the one before.
class CosineAnnealingWarmRestarts : public Schedule {
 public:
  using Options = CosineAnnealingWarmRestartsOptions;
  explicit CosineAnnealingWarmRestarts(Options options)
      : Schedule(options), options_(std::move(options)) {}

 protected:
  double rate(double current, double base) const override;

 private:
  Options options_;
};

struct OneCycleLROptions : ScheduleTiming {
  double max_lr = 0;
  std::optional<std::int64_t> total_steps;
  double pct_start = 0.3;
  double div_factor = 25;
  double final_div_factor = 1e4;
  OneCycleLROptions() { interval = Interval::kStep; }
  void describe(config::Fields& f);
};

/// Up to max_lr in pct_start of the steps and down again, both by half a cosine.
class OneCycleLR : public Schedule {
 public:
  using Options = OneCycleLROptions;
  explicit OneCycleLR(Options options) : Schedule(options), options_(std::move(options)) {}
  void attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) override;

 protected:
  double rate(double current, double base) const override;

 private:
  Options options_;
  std::int64_t total_ = 0;
};

struct WarmupCosineOptions : ScheduleTiming {
  double warmup_ratio = 0.05;
  double eta_min_ratio = 0.01;
  WarmupCosineOptions() { interval = Interval::kStep; }
  void describe(config::Fields& f);
};

/// The reference's set-up over the steps of the run: a linear warm-up of int(total * warmup_ratio)
/// steps (LambdaLR), then half a cosine down to eta_min_ratio of the rate (CosineAnnealingLR), in
/// SequentialLR. Its quirks are kept: the first step has rate 0, and without a warm-up step the
/// cosine lags one step.
class WarmupCosine : public Schedule {
 public:
  using Options = WarmupCosineOptions;
  explicit WarmupCosine(Options options) : Schedule(options), options_(std::move(options)) {}
  void attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) override;
  void step(std::optional<double> metric = std::nullopt) override { inner_->step(metric); }
  tensor::Value state_dict() const override { return inner_->state_dict(); }
  void load_state_dict(const tensor::Value& state) override { inner_->load_state_dict(state); }

 protected:
  double rate(double current, double) const override { return current; }

 private:
  Options options_;
  std::unique_ptr<SequentialLR> inner_;
};

}  // namespace polyphony::optim
