#pragma once

#include <memory>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/train/callback.h>

namespace polyphony::callbacks {

enum class Annealing { kCos, kLinear };

struct StochasticWeightAveragingOptions {
  double swa_lrs = 0;
  config::Node swa_epoch_start = config::Node(0.8);
  int annealing_epochs = 10;
  Annealing annealing_strategy = Annealing::kCos;
  void describe(config::Fields& f);
};

/// Averages the weights at the start of each late epoch, under a rate that goes to swa_lrs, and
/// ends the fit with the average (Izmailov et al., 2018).
class StochasticWeightAveraging : public train::Callback {
 public:
  using Options = StochasticWeightAveragingOptions;
  explicit StochasticWeightAveraging(Options options);
  std::string name() const override { return "StochasticWeightAveraging"; }
  void on_fit_start(train::Trainer& trainer) override;
  void on_train_epoch_start(train::Trainer& trainer) override;
  void on_train_end(train::Trainer& trainer) override;
  std::string state_key() const override { return "StochasticWeightAveraging"; }
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;
  std::optional<std::uint64_t> state_revision() const override {
    return static_cast<std::uint64_t>(averaged_) * 2 + (swapped_ ? 1 : 0);
  }

 private:
  void take_over_schedule(train::Trainer& trainer);
  void average(const tensor::NamedTensors& parameters);

  Options options_;
  std::int64_t start_ = 0;  ///< first epoch, from 0
  std::int64_t last_ = 0;   ///< last epoch
  bool swapped_ = false;
  std::int64_t averaged_ = 0;
  std::int64_t latest_epoch_ = -1;
  tensor::NamedTensors average_;
  train::Trainer* trainer_ = nullptr;
};

}  // namespace polyphony::callbacks

template <>
struct polyphony::config::EnumNames<polyphony::callbacks::Annealing> {
  static constexpr std::pair<const char*, polyphony::callbacks::Annealing> kTable[] = {
      {"cos", polyphony::callbacks::Annealing::kCos},
      {"linear", polyphony::callbacks::Annealing::kLinear}};
};
