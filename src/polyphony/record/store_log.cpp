#include <polyphony/record/store_log.h>

#include <polyphony/config/dump.h>
#include <polyphony/record/host.h>
#include <polyphony/record/hyper_parameters.h>

namespace polyphony::record {

void StoreLog::log(const Row& row) {
  for (const auto& [name, value] : row.values) {
    pending_.push_back({name, row.step, row.epoch, row.time, value});
  }
}

void StoreLog::log_hyper_parameters(const config::Node& values) {
  Pairs pairs;
  for (const auto& [name, value] : flat_hyper_parameters(values)) {
    pairs.emplace_back(name, config::to_json(value));
  }
  store_.set_hyper_parameters(run_, pairs);
}

void StoreLog::log_system(std::span<const SystemMetric> metrics) {
  store_.log_system(run_, metrics);
  store_.heartbeat(run_, now());
}

void StoreLog::flush() {
  store_.log(run_, pending_);
  pending_.clear();
}

}  // namespace polyphony::record
