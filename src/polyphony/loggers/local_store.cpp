#include <polyphony/loggers/local_store.h>

#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/record/artifact.h>
#include <polyphony/record/host.h>

namespace polyphony::loggers {
namespace {

/// How long a checkpoint waits for a disk that stands still; the run goes on then.
constexpr double kFlushSeconds = 10;

}  // namespace

LocalStore::LocalStore(record::Recorder& recorder, std::filesystem::path metrics_csv)
    : recorder_(recorder), metrics_csv_(std::move(metrics_csv)) {}

void LocalStore::log_metrics(const train::MetricValues& values, std::int64_t step,
                             std::int64_t epoch) {
  recorder_.log({step, epoch, record::now(), values});
  ++rows_;
}

void LocalStore::save() { recorder_.flush(kFlushSeconds); }

void LocalStore::after_save_checkpoint(const std::filesystem::path& path) {
  recorder_.prepare(record::file_artifact("checkpoint", path));
}

tensor::Value LocalStore::state_dict() const {
  using tensor::Value;
  recorder_.flush(kFlushSeconds);
  Value state = Value::dict();
  state.set("metrics_csv", Value(metrics_csv_.string()));
  state.set("rows", Value(rows_));
  return state;
}

void LocalStore::load_state_dict(const tensor::Value& state) {
  if (state.kind() != tensor::Value::Kind::kDict || rows_ > 0) return;
  const std::filesystem::path earlier = state.at("metrics_csv").as_string();
  const std::int64_t count = state.at("rows").as_int();
  if (count == 0 || earlier == metrics_csv_) return;
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
