#include <polyphony/record/csv_log.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/config/dump.h>
#include <polyphony/config/scalars.h>

namespace polyphony::record {
namespace {

/// One line as Python's csv module writes it.
std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) {
    if (&cell != &cells.front()) line += ',';
    if (cell.find_first_of(",\"\r\n") == std::string::npos) {
      line += cell;
      continue;
    }
    line += '"';
    for (const char c : cell) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\r\n";
}

}  // namespace

CsvLog::CsvLog(const std::filesystem::path& directory, std::string prefix)
    : path_(directory / "metrics.csv"), prefix_(std::move(prefix)) {
  make_directory(directory);
  if (std::filesystem::exists(path_)) {  // a version that was named: goes on with its rows
    header_ = read_csv(path_).header;
    rewrite_ = false;
  }
}

void CsvLog::log(const Row& row) {
  std::vector<std::string> cells(header_.size());
  const auto set = [&](const std::string& name, std::string text) {
    const auto found = std::find(header_.begin(), header_.end(), name);
    if (found == header_.end()) {
      header_.push_back(name);
      cells.push_back(std::move(text));
      rewrite_ = true;
    } else {
      cells[static_cast<std::size_t>(found - header_.begin())] = std::move(text);
    }
  };
  for (const auto& [name, value] : row.values) {
    set(prefix_.empty() ? name : prefix_ + "-" + name, config::float_repr(value));
  }
  set("epoch", std::to_string(row.epoch));
  set("step", std::to_string(row.step));
  rows_.push_back(std::move(cells));
}

void CsvLog::log_hyper_parameters(const config::Node& values) {
  write_file(path_.parent_path() / "hparams.yaml",
             values.is_map() && !values.entries().empty() ? config::to_yaml(values) : "{}\n");
}

void CsvLog::flush() {
  if (rows_.empty()) return;
  std::string lines;
  for (std::vector<std::string>& cells : rows_) {
    cells.resize(header_.size());  // names that came later
    lines += csv_line(cells);
  }
  if (rewrite_) {
    std::string text = csv_line(header_);
    if (std::filesystem::exists(path_)) {
      for (std::vector<std::string>& cells : read_csv(path_).rows) {
        cells.resize(header_.size());
        text += csv_line(cells);
      }
    }
    out_.reset();
    write_file(path_, text + lines);
    rewrite_ = false;
  } else {
    if (!out_) out_ = std::make_unique<AppendFile>(path_, AppendFile::Mode::kContinue);
    out_->append(lines);
    out_->flush();
  }
  rows_.clear();
}

}  // namespace polyphony::record
