#include <polyphony/loggers/guarded.h>

#include <fmt/format.h>

namespace polyphony::loggers {

void Guarded::attempt(const std::function<void(train::Logger&)>& call) const {
  if (!logger_) return;
  try {
    call(*logger_);
  } catch (const std::exception& error) {
    fmt::print(stderr, "warning: {} is dropped, the run goes on: {}\n", name_, error.what());
    logger_.reset();
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
  attempt([&](train::Logger& logger) { logger.finalize(status); });
}
tensor::Value Guarded::state_dict() const {
  tensor::Value state;
  attempt([&](train::Logger& logger) { state = logger.state_dict(); });
  return state;
}
void Guarded::load_state_dict(const tensor::Value& state) {
  attempt([&](train::Logger& logger) { logger.load_state_dict(state); });
}

}  // namespace polyphony::loggers
