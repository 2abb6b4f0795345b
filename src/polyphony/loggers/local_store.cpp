#include <polyphony/loggers/local_store.h>

#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
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
  ++rows_;
}

tensor::Value LocalStore::state_dict() const {
  using tensor::Value;
  Value state = Value::dict();
  state.set("metrics_csv", Value(csv_.path().string()));
  state.set("rows", Value(rows_));
  return state;
}

void LocalStore::load_state_dict(const tensor::Value& state) {
  if (state.kind() != tensor::Value::Kind::kDict || rows_ > 0) return;
  const std::filesystem::path earlier = state.at("metrics_csv").as_string();
  const std::int64_t count = state.at("rows").as_int();
  if (count == 0 || earlier == csv_.path()) return;
  if (!std::filesystem::exists(earlier)) {
    fmt::print("{} is gone: this run's metrics begin where it was resumed\n", earlier.string());
    return;
  }
  const CsvTable table = read_csv(earlier);
  for (std::size_t i = 0; i < table.rows.size() && i < static_cast<std::size_t>(count); ++i) {
    const std::vector<std::string>& cells = table.rows[i];
    train::MetricValues values;
    for (std::size_t c = 2; c < cells.size(); ++c) {
      if (!cells[c].empty())
        values.emplace_back(table.header[c], std::strtod(cells[c].c_str(), nullptr));
    }
    log_metrics(values, std::stoll(cells[1]), std::stoll(cells[0]));
  }
}

}  // namespace polyphony::loggers
