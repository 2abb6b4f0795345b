#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/tensor/device.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/devices.h>
#include <polyphony/train/duration.h>
#include <polyphony/train/limit.h>
#include <polyphony/train/precision.h>

namespace polyphony::train {

/// kDdpUnused: ddp, and some parameters may go without a gradient.
enum class StrategyName { kAuto, kSingle, kDdp, kDdpUnused };
enum class ClipAlgorithm { kNorm, kValue };
enum class ProfilerName { kNone, kSimple, kPytorch };

/// Options with Lightning's names, defaults and meaning.
struct TrainerOptions {
  std::optional<int> max_epochs;
  std::int64_t max_steps = -1;
  std::optional<Duration> max_time;
  std::optional<int> min_epochs;
  std::optional<std::int64_t> min_steps;
  Limit limit_train_batches;
  Limit limit_val_batches;
  Limit limit_test_batches;
  Limit limit_predict_batches;
  Limit overfit_batches = Limit::batches(0);
  FlagOrCount fast_dev_run;
  int num_sanity_val_steps = 2;
  std::optional<int> check_val_every_n_epoch = 1;
  Limit val_check_interval;
  int log_every_n_steps = 50;
  int accumulate_grad_batches = 1;
  std::optional<double> gradient_clip_val;
  ClipAlgorithm gradient_clip_algorithm = ClipAlgorithm::kNorm;
  Precision precision = Precision::k32;
  tensor::Determinism deterministic = tensor::Determinism::kOn;
  bool benchmark = false;
  bool detect_anomaly = false;
  bool enable_checkpointing = true;
  bool enable_progress_bar = true;
  bool enable_model_summary = true;
  std::optional<std::string> default_root_dir;
  tensor::Accelerator accelerator = tensor::Accelerator::kAuto;
  Devices devices;
  StrategyName strategy = StrategyName::kAuto;
  int num_nodes = 1;
  double dist_timeout = 60;
  ProfilerName profiler = ProfilerName::kNone;

  void describe(config::Fields& f);
};

/// What the options mean together: fast_dev_run and overfit_batches set others, and limits that are
/// not given get Lightning's values.
/// @param has_timer  whether a callback limits the time, so that epochs need no limit
TrainerOptions settled(TrainerOptions options, bool has_timer);

}  // namespace polyphony::train

template <>
struct polyphony::config::EnumNames<polyphony::tensor::Accelerator> {
  static constexpr std::pair<const char*, polyphony::tensor::Accelerator> kTable[] = {
      {"auto", polyphony::tensor::Accelerator::kAuto},
      {"cpu", polyphony::tensor::Accelerator::kCpu},
      {"gpu", polyphony::tensor::Accelerator::kGpu},
      {"cuda", polyphony::tensor::Accelerator::kGpu}};
};
template <>
struct polyphony::config::EnumNames<polyphony::train::StrategyName> {
  static constexpr std::pair<const char*, polyphony::train::StrategyName> kTable[] = {
      {"auto", polyphony::train::StrategyName::kAuto},
      {"single", polyphony::train::StrategyName::kSingle},
      {"ddp", polyphony::train::StrategyName::kDdp},
      {"ddp_find_unused_parameters_true", polyphony::train::StrategyName::kDdpUnused},
      {"ddp_find_unused_parameters_false", polyphony::train::StrategyName::kDdp}};
};
template <>
struct polyphony::config::EnumNames<polyphony::train::ClipAlgorithm> {
  static constexpr std::pair<const char*, polyphony::train::ClipAlgorithm> kTable[] = {
      {"norm", polyphony::train::ClipAlgorithm::kNorm},
      {"value", polyphony::train::ClipAlgorithm::kValue}};
};
template <>
struct polyphony::config::EnumNames<polyphony::train::ProfilerName> {
  static constexpr std::pair<const char*, polyphony::train::ProfilerName> kTable[] = {
      {"none", polyphony::train::ProfilerName::kNone},
      {"simple", polyphony::train::ProfilerName::kSimple},
      {"pytorch", polyphony::train::ProfilerName::kPytorch}};
};
