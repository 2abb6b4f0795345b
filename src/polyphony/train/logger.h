#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <polyphony/tensor/value.h>
#include <polyphony/train/stage.h>

namespace polyphony::train {

/// Where metrics go. Called on the training thread of rank 0.
class Logger {
 public:
  static constexpr const char* kKind = "Logger";
  virtual ~Logger() = default;

  /// @param step  optimizer steps done before; @param epoch  epochs done before
  virtual void log_metrics(const MetricValues& values, std::int64_t step, std::int64_t epoch) = 0;
  /// The run's settings, once, before the first metric.
  virtual void log_hyperparams(const tensor::Value&) {}
  /// Makes what was logged durable.
  virtual void save() {}
  /// @param path  of a checkpoint that was just written
  virtual void after_save_checkpoint(const std::filesystem::path& /*path*/) {}
  virtual void finalize(const std::string& /*status*/) {}

  /// How far the record goes, kept in checkpoints; a resumed run's record continues behind it.
  virtual tensor::Value state_dict() const { return {}; }
  /// The same without the `newest` rows that were logged last.
  virtual tensor::Value state_dict_before(std::int64_t /*newest*/) const { return state_dict(); }
  virtual void load_state_dict(const tensor::Value&) {}
};

}  // namespace polyphony::train
