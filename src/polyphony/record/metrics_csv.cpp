#include <polyphony/record/metrics_csv.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

namespace polyphony::record {

MetricsCsv::MetricsCsv(std::filesystem::path path)
    : path_(std::move(path)), header_{"epoch", "step"} {
  if (!std::filesystem::exists(path_)) return;
  header_ = read_csv(path_).header;
  if (header_.size() < 2 || header_[0] != "epoch" || header_[1] != "step") {
    throw DataError(
        fmt::format("{}: no metrics table: it does not begin with epoch,step", path_.string()),
        "move the file aside");
  }
}

void MetricsCsv::open() {
  out_.close();
  out_.clear();
  out_.open(path_, std::ios::app | std::ios::binary);
}

void MetricsCsv::append(std::int64_t step, std::int64_t epoch,
                        const std::vector<std::pair<std::string, double>>& values) {
  const std::size_t known = header_.size();
  std::vector<std::string> cells(known);
  cells[0] = std::to_string(epoch);
  cells[1] = std::to_string(step);
  for (const auto& [name, value] : values) {
    const auto found = std::find(header_.begin() + 2, header_.end(), name);
    const auto column = static_cast<std::size_t>(found - header_.begin());
    if (found == header_.end()) {
      header_.push_back(name);
      cells.emplace_back();
    }
    cells[column] = fmt::format("{}", value);
  }
  if (header_.size() != known || !std::filesystem::exists(path_)) {
    CsvTable table;
    if (std::filesystem::exists(path_)) table = read_csv(path_);
    table.header = header_;
    for (auto& row : table.rows) row.resize(header_.size());
    table.rows.push_back(std::move(cells));
    write_file(path_, to_csv(table));
    open();
  } else {
    if (!out_.is_open()) open();
    out_ << fmt::format("{}\n", fmt::join(cells, ",")) << std::flush;  // numbers need no quotes
  }
  if (!out_) {
    throw IoError(fmt::format("{}: cannot be written", path_.string()),
                  "check the permissions and the free space");
  }
}

}  // namespace polyphony::record
