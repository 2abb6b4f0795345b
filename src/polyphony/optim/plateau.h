#pragma once

#include <limits>

#include <polyphony/optim/schedule.h>

namespace polyphony::optim {

enum class PlateauMode { kMin, kMax };
enum class PlateauThreshold { kRelative, kAbsolute };

struct ReduceLROnPlateauOptions : ScheduleTiming {
  PlateauMode mode = PlateauMode::kMin;
  double factor = 0.1;
  int patience = 10;
  double threshold = 1e-4;
  PlateauThreshold threshold_mode = PlateauThreshold::kRelative;
  int cooldown = 0;
  double min_lr = 0;
  double eps = 1e-8;

  void describe(config::Fields& f);
};

/// Cuts the rate when the monitored metric stops improving.
class ReduceLROnPlateau : public Schedule {
 public:
  using Options = ReduceLROnPlateauOptions;
  explicit ReduceLROnPlateau(Options options);

  void attach(Optimizer& optimizer, std::optional<std::int64_t> total_steps) override;
  void step(std::optional<double> metric = std::nullopt) override;
  bool on_plateau() const override { return true; }
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;

 protected:
  double rate(double current, double) const override { return current; }

 private:
  bool improves(double value) const;

  Options options_;
  double best_;
  std::int64_t bad_ = 0;
  std::int64_t cooling_ = 0;
  std::int64_t seen_ = 0;
};

}  // namespace polyphony::optim

template <>
struct polyphony::config::EnumNames<polyphony::optim::PlateauMode> {
  static constexpr std::pair<const char*, polyphony::optim::PlateauMode> kTable[] = {
      {"min", polyphony::optim::PlateauMode::kMin}, {"max", polyphony::optim::PlateauMode::kMax}};
};
template <>
struct polyphony::config::EnumNames<polyphony::optim::PlateauThreshold> {
  static constexpr std::pair<const char*, polyphony::optim::PlateauThreshold> kTable[] = {
      {"rel", polyphony::optim::PlateauThreshold::kRelative},
      {"abs", polyphony::optim::PlateauThreshold::kAbsolute}};
};
