#include <polyphony/record/import.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::record {
namespace fs = std::filesystem;

ImportedRun read_csv_log(const fs::path& file) {
  const AppendedCsv whole_rows = read_appended_csv(file);
  const CsvTable& table = whole_rows.table;
  if (table.header.empty() || (table.rows.empty() && whole_rows.left_out > 1)) {
    throw DataError(fmt::format("{}: no table of metrics: {}", file.string(),
                                whole_rows.left_out > 0 ? "no row of it is whole" : "it is empty"),
                    "its first line names the columns, and each line ends with a line end");
  }
  const auto column = [&table](const char* name) -> std::optional<std::size_t> {
    const auto found = std::find(table.header.begin(), table.header.end(), name);
    if (found == table.header.end()) return std::nullopt;
    return static_cast<std::size_t>(found - table.header.begin());
  };
  const auto step = column("step");
  const auto epoch = column("epoch");
  if (!step && !epoch) {
    throw DataError(
        fmt::format("{}: no table of metrics: it has no column 'step' or 'epoch'", file.string()),
        "name a metrics.csv as CSVLogger writes it");
  }
  ImportedRun run;
  run.left_out = whole_rows.note();
  run.info.source = "csv";
  const fs::path folder = fs::absolute(file).parent_path();
  run.info.directory = folder;
  run.info.name = folder.filename();
  if (fs::exists(folder / "hparams.yaml")) {
    run.info.config_yaml = read_file(folder / "hparams.yaml");
  }
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const auto number = [&](std::size_t c) { return config::python_float(table.rows[r][c]); };
    const auto whole = [&](std::optional<std::size_t> c, std::int64_t otherwise) {
      const auto value = c ? number(*c) : std::nullopt;
      return value && std::isfinite(*value) ? static_cast<std::int64_t>(*value) : otherwise;
    };
    const std::int64_t at_epoch = whole(epoch, 0);
    const std::int64_t at_step =
        whole(step, step ? static_cast<std::int64_t>(whole_rows.numbers[r]) : at_epoch);
    for (std::size_t c = 0; c < table.header.size(); ++c) {
      if (c == step || c == epoch || table.rows[r][c].empty()) continue;
      if (const auto value = number(c)) {
        run.metrics.push_back({table.header[c], at_step, at_epoch, 0, *value});
      }
    }
  }
  return run;
}

}  // namespace polyphony::record
