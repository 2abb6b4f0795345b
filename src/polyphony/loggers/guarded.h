#pragma once

#include <functional>
#include <memory>
#include <string>

#include <polyphony/train/logger.h>

namespace polyphony::loggers {

/// Another logger, of a user's own class, say; the first time it throws it is dropped with a
/// warning and the run goes on.
class Guarded : public train::Logger {
 public:
  /// @param name  for the warning
  Guarded(std::string name, std::unique_ptr<train::Logger> logger)
      : name_(std::move(name)), logger_(std::move(logger)) {}

  void log_metrics(const train::MetricValues& values, std::int64_t step,
                   std::int64_t epoch) override;
  void log_hyperparams(const tensor::Value& values) override;
  void save() override;
  void after_save_checkpoint(const std::filesystem::path& path) override;
  void finalize(const std::string& status) override;
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;

 private:
  void attempt(const std::function<void(train::Logger&)>& call) const;

  std::string name_;
  mutable std::unique_ptr<train::Logger> logger_;  ///< null once it is dropped
};

}  // namespace polyphony::loggers
