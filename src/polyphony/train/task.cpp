#include <polyphony/train/task.h>

#include <polyphony/tensor/plain.h>
#include <polyphony/train/loops/metric_log.h>

namespace polyphony::train {

Optimization Task::configure_optimizers() {
  if (optimization_.optimizer) optimization_.optimizer->attach(parameters());
  return std::move(optimization_);
}

std::function<tensor::Value()> Task::metric_snapshot() const {
  return [state = tensor::copy_of(metric_state())] { return state; };
}

void Task::attach(Trainer* trainer, MetricLog* log) {
  trainer_ = trainer;
  log_ = log;
}

void Task::log(std::string_view name, double value, const LogOptions& options) {
  if (log_ != nullptr) log_->log(name, value, options);
}

void Task::log(std::string_view name, const at::Tensor& value, const LogOptions& options) {
  log(name, value.item<double>(), options);
}

void Task::log_dict(const MetricValues& values, const LogOptions& options) {
  for (const auto& [name, value] : values) log(name, value, options);
}

}  // namespace polyphony::train
