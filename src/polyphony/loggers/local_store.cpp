#include <polyphony/loggers/local_store.h>

#include <vector>

#include <polyphony/record/host.h>

namespace polyphony::loggers {

LocalStore::LocalStore(record::Store& store, std::int64_t run, record::MetricsCsv& csv)
    : store_(store), run_(run), csv_(csv) {}

void LocalStore::log_metrics(const train::MetricValues& values, std::int64_t step,
                             std::int64_t epoch) {
  const double time = record::now();
  std::vector<record::Metric> metrics;
  for (const auto& [name, value] : values) metrics.push_back({name, step, epoch, time, value});
  store_.log(run_, metrics);
  csv_.append(step, epoch, values);
}

}  // namespace polyphony::loggers
