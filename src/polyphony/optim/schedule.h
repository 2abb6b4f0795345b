#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/optim/optimizer.h>
#include <polyphony/tensor/value.h>

namespace polyphony::optim {

/// After what a schedule moves: each optimizer step, or each epoch.
enum class Interval { kEpoch, kStep };

/// When a schedule is asked to move: Lightning's lr_scheduler dictionary.
struct ScheduleTiming {
  Interval interval = Interval::kEpoch;
  int frequency = 1;                   ///< intervals between two moves
  std::optional<std::string> monitor;  ///< metric that a plateau is judged by
  bool strict = true;                  ///< fail if the metric was not logged
  std::optional<std::string> name;     ///< what a learning-rate monitor calls it

  void describe_timing(config::Fields& f);
};

/// A learning rate over time: torch.optim.lr_scheduler's classes, step for step, quirks included.
class Schedule {
 public:
  static constexpr const char* kKind = "Schedule";
  virtual ~Schedule() = default;

  /// Takes the optimizer's rates as the base and sets those of the first step.
  /// @param total_steps  optimizer steps of the whole run, if it is known
  virtual void attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps);
  /// Moves on and sets the rates; if it throws, nothing has changed.
  /// @param metric  the monitored value, for a plateau
  virtual void step(std::optional<double> metric = std::nullopt);
  /// Whether it needs the monitored metric, after validation.
  virtual bool on_plateau() const { return false; }
  const ScheduleTiming& timing() const { return timing_; }

  /// torch.optim.lr_scheduler's `state_dict`, and back.
  virtual tensor::Value state_dict() const;
  virtual void load_state_dict(const tensor::Value& state);

 protected:
  explicit Schedule(ScheduleTiming timing) : timing_(std::move(timing)) {}

  /// The rate at last_epoch(). @param current  the group's rate now; @param base  its initial one
  virtual double rate(double current, double base) const = 0;
  /// The same from the base alone, if a schedule is put at a given point.
  virtual double rate_at(double current, double base) const { return rate(current, base); }
  std::int64_t last_epoch() const { return last_epoch_; }
  std::int64_t step_count() const { return step_count_; }
  std::size_t group_count() const { return base_.size(); }
  Optimizer& optimizer() const { return *optimizer_; }

 private:
  friend class SequentialLR;
  void attach_to(Optimizer& optimizer, std::optional<std::int64_t> total_steps);
  void jump(std::int64_t epoch);
  void move_to(std::int64_t epoch, bool from_base);

  ScheduleTiming timing_;
  Optimizer* optimizer_ = nullptr;
  std::vector<double> base_;  ///< a group
  std::int64_t last_epoch_ = -1;
  std::int64_t step_count_ = 0;
};

struct SequentialLROptions : ScheduleTiming {
  std::vector<config::Child<Schedule>> schedulers;
  std::vector<std::int64_t> milestones;

  void describe(config::Fields& f);
};

/// One schedule after another: schedule i + 1 begins anew at milestone i.
class SequentialLR : public Schedule {
 public:
  using Options = SequentialLROptions;
  explicit SequentialLR(const Options& options);
  SequentialLR(ScheduleTiming timing, std::vector<std::unique_ptr<Schedule>> schedules,
               std::vector<std::int64_t> milestones);

  void attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) override;
  void step(std::optional<double> metric = std::nullopt) override;
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;

 protected:
  double rate(double current, double) const override { return current; }

 private:
  std::vector<std::unique_ptr<Schedule>> schedules_;
  std::vector<std::int64_t> milestones_;
};

/// `total_steps` if it is known. @throws ConfigError naming the schedule otherwise
std::int64_t known_total(std::optional<std::int64_t> total_steps, const std::string& schedule);

}  // namespace polyphony::optim

template <>
struct polyphony::config::EnumNames<polyphony::optim::Interval> {
  static constexpr std::pair<const char*, polyphony::optim::Interval> kTable[] = {
      {"epoch", polyphony::optim::Interval::kEpoch}, {"step", polyphony::optim::Interval::kStep}};
};
