#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <polyphony/train/logger.h>

namespace polyphony::loggers {

/// Another logger, of a user's own class, say. One that throws ends no run: it is told, left out
/// for half a second and tried again, each time twice as long, at last half a minute, and at the
/// end. What it was not called for is counted and told.
class Guarded : public train::Logger {
 public:
  /// @param name  for messages; @param retry  seconds
  Guarded(std::string name, std::unique_ptr<train::Logger> logger, double retry = 0.5)
      : name_(std::move(name)), logger_(std::move(logger)), first_retry_(retry) {}

  void log_metrics(const train::MetricValues& values, std::int64_t step,
                   std::int64_t epoch) override;
  void log_hyperparams(const tensor::Value& values) override;
  void save() override;
  void after_save_checkpoint(const std::filesystem::path& path) override;
  void finalize(const std::string& status) override;
  tensor::Value state_dict() const override;
  tensor::Value state_dict_before(std::int64_t newest) const override;
  void load_state_dict(const tensor::Value& state) override;

 private:
  void attempt(const std::function<void(train::Logger&)>& call) const;

  std::string name_;
  std::unique_ptr<train::Logger> logger_;
  double first_retry_;
  mutable double retry_ = 0;  ///< seconds; 0 while it does not throw
  mutable std::chrono::steady_clock::time_point next_try_;
  mutable int left_out_ = 0;  ///< calls since it threw
};

}  // namespace polyphony::loggers
