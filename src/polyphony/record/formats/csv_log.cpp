#include <polyphony/record/formats/csv_log.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::record {
namespace {

DirectoryLock locked(const std::filesystem::path& directory) {
  make_directory(directory);
  auto lock = DirectoryLock::try_lock(directory);
  if (lock) return *std::move(lock);
  throw IoError(
      fmt::format("{}: another run or logger writes its metrics.csv there now", directory.string()),
      "leave `version` out, or give each run its own");
}

}  // namespace

CsvLog::CsvLog(const std::filesystem::path& directory, std::string prefix)
    : lock_(locked(directory)),
      prefix_(std::move(prefix)),
      table_(directory / "metrics.csv", "\r\n") {}

void CsvLog::log(const Row& row) {
  AppendTable::Cells cells;
  for (const auto& [name, value] : row.values) {
    cells.emplace_back(prefix_.empty() ? name : prefix_ + "-" + name, config::float_repr(value));
  }
  cells.emplace_back("epoch", std::to_string(row.epoch));
  cells.emplace_back("step", std::to_string(row.step));
  table_.add(cells);
}

void CsvLog::log_hyper_parameters(const config::Node& values) {
  write_file(table_.path().parent_path() / "hparams.yaml",
             values.is_map() && !values.entries().empty() ? config::to_yaml(values) : "{}\n");
}

}  // namespace polyphony::record
