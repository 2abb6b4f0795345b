#include <polyphony/loggers/guarded.h>

#include <algorithm>

#include <polyphony/base/notice.h>

namespace polyphony::loggers {

void Guarded::attempt(const std::function<void(train::Logger&)>& call) const {
  using Clock = std::chrono::steady_clock;
  constexpr double kLongestRetry = 30;
  if (retry_ > 0 && Clock::now() < next_try_) {
    ++left_out_;
    return;
  }
  try {
    call(*logger_);
    if (retry_ == 0) return;
    warn("{} is written again; it lacks {} calls", name_, left_out_);
    retry_ = 0;
    left_out_ = 0;
  } catch (const std::exception& error) {
    if (retry_ == 0) {
      warn("{} fails; the run goes on, and it is tried again: {}", name_, error.what());
    }
    ++left_out_;
    retry_ = retry_ == 0 ? first_retry_ : std::min(2 * retry_, kLongestRetry);
    next_try_ = Clock::now() +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(retry_));
  }
}

void Guarded::log_metrics(const train::MetricValues& values, std::int64_t step,
                          std::int64_t epoch) {
  attempt([&](train::Logger& logger) { logger.log_metrics(values, step, epoch); });
}
void Guarded::log_hyperparams(const tensor::Value& values) {
  attempt([&](train::Logger& logger) { logger.log_hyperparams(values); });
}
void Guarded::save() {
  attempt([](train::Logger& logger) { logger.save(); });
}
void Guarded::after_save_checkpoint(const std::filesystem::path& path) {
  attempt([&](train::Logger& logger) { logger.after_save_checkpoint(path); });
}
void Guarded::finalize(const std::string& status) {
  next_try_ = {};
  attempt([&](train::Logger& logger) { logger.finalize(status); });
  if (left_out_ > 0) {
    warn("{} lacks the last {} calls of this run", name_, left_out_);
  }
}
tensor::Value Guarded::state_dict() const {
  tensor::Value state;
  attempt([&](train::Logger& logger) { state = logger.state_dict(); });
  return state;
}
tensor::Value Guarded::state_dict_before(std::int64_t newest) const {
  tensor::Value state;
  attempt([&](train::Logger& logger) { state = logger.state_dict_before(newest); });
  return state;
}
void Guarded::load_state_dict(const tensor::Value& state) {
  attempt([&](train::Logger& logger) { logger.load_state_dict(state); });
}

}  // namespace polyphony::loggers
