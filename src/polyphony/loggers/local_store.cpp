#include <polyphony/loggers/local_store.h>

#include <charconv>
#include <optional>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/record/artifact.h>
#include <polyphony/record/host.h>

namespace polyphony::loggers {
namespace fs = std::filesystem;
namespace {

/// How long a checkpoint waits for a disk that stands still; the run goes on then.
constexpr double kFlushSeconds = 10;

/// A cell of a table of metrics; nothing where it is empty.
std::optional<double> number_of(const std::string& cell) {
  double number = 0;
  const char* end = cell.data() + cell.size();
  const auto [stop, error] = std::from_chars(cell.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

}  // namespace

LocalStore::LocalStore(record::Recorder& recorder, std::filesystem::path metrics_csv)
    : recorder_(recorder), metrics_csv_(std::move(metrics_csv)) {
  if (!fs::exists(metrics_csv_)) return;
  const AppendedCsv found = read_appended_csv(metrics_csv_);
  // A torn end was cut off when the table was opened; rows damaged before it keep their place.
  earlier_rows_ = found.numbers.empty() ? 0 : static_cast<std::int64_t>(found.numbers.back()) + 1;
}

void LocalStore::log_metrics(const train::MetricValues& values, std::int64_t step,
                             std::int64_t epoch) {
  recorder_.log({step, epoch, record::now(), values});
  ++rows_;
}

void LocalStore::save() { recorder_.flush(kFlushSeconds); }

void LocalStore::after_save_checkpoint(const std::filesystem::path& path) {
  recorder_.prepare(record::file_artifact("checkpoint", path));
}

tensor::Value LocalStore::state_dict() const { return state_dict_before(0); }

tensor::Value LocalStore::state_dict_before(std::int64_t newest) const {
  using tensor::Value;
  recorder_.flush(kFlushSeconds);
  Value state = Value::dict();
  state.set("metrics_csv", Value(metrics_csv_.string()));
  state.set("rows", Value(earlier_rows_ + rows_ - newest));
  return state;
}

void LocalStore::load_state_dict(const tensor::Value& state) {
  if (state.kind() != tensor::Value::Kind::kDict || rows_ + earlier_rows_ > 0) return;
  const fs::path earlier = state.at("metrics_csv").as_string();
  const std::int64_t count = state.at("rows").as_int();
  std::error_code error;
  if (count == 0 || earlier == metrics_csv_ || fs::equivalent(earlier, metrics_csv_, error)) return;
  if (!fs::exists(earlier, error)) {
    inform("{} is gone: this run's metrics begin where it was resumed", earlier.string());
    return;
  }
  try {
    take_rows(earlier, static_cast<std::size_t>(count));
  } catch (const Error& failure) {
    warn("this run's metrics begin where it was resumed: {}", failure.what());
  }
}

void LocalStore::take_rows(const fs::path& earlier, std::size_t count) {
  const AppendedCsv found = read_appended_csv(earlier);
  const auto& header = found.table.header;
  if (header.size() < 2 || header[0] != "epoch" || header[1] != "step") {
    throw DataError(
        fmt::format("{}: its header is torn, or it is no table of metrics", earlier.string()));
  }
  std::size_t taken = 0;
  for (std::size_t i = 0; i < found.table.rows.size() && found.numbers[i] < count; ++i) {
    const std::vector<std::string>& cells = found.table.rows[i];
    const auto epoch = number_of(cells[0]), step = number_of(cells[1]);
    if (!epoch || !step) continue;
    train::MetricValues values;
    for (std::size_t c = 2; c < cells.size(); ++c) {
      if (const auto value = number_of(cells[c])) values.emplace_back(header[c], *value);
    }
    log_metrics(values, static_cast<std::int64_t>(*step), static_cast<std::int64_t>(*epoch));
    ++taken;
  }
  if (taken == count && found.left_out == 0) return;
  warn("{}: {} of the {} rows that the checkpoint counts are taken over{}", earlier.string(), taken,
       count, found.left_out > 0 ? "; " + found.note() : "");
}

}  // namespace polyphony::loggers
