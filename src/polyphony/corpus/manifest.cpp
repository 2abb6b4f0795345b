#include <polyphony/corpus/manifest.h>

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>

namespace polyphony::corpus {
namespace {

using Column = std::optional<std::size_t>;

Column find(const CsvTable& table, const std::string& name) {
  const auto found = std::find(table.header.begin(), table.header.end(), name);
  if (found == table.header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - table.header.begin());
}

std::string cell(const std::vector<std::string>& row, Column column) {
  return column ? row[*column] : std::string();
}

}  // namespace

Manifest read_manifest(const std::filesystem::path& path, const ManifestColumns& columns) {
  Manifest manifest;
  manifest.path = path;
  manifest.table = read_csv(path);
  const CsvTable& table = manifest.table;
  const Column audio = find(table, columns.path);
  const Column text = find(table, columns.text);
  if (!audio && !text) {
    throw DataError(
        fmt::format("{}: neither a column '{}' nor '{}'", path.string(), columns.path,
                    columns.text),
        fmt::format("name the columns of this file; it has: {}", fmt::join(table.header, ", ")));
  }
  if (table.rows.empty()) {
    throw DataError(path.string() + ": no rows", "a manifest has one row for each utterance");
  }
  const Column label = find(table, columns.label);
  const Column group = find(table, columns.group);
  const Column language = find(table, columns.language);
  const Column split = find(table, columns.split);
  manifest.has_audio = audio.has_value();
  manifest.has_text = text.has_value();
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const auto& cells = table.rows[i];
    ManifestRow row{cell(cells, audio), cell(cells, text),     cell(cells, label),
                    cell(cells, group), cell(cells, language), cell(cells, split),
                    table.lines[i]};
    if (!row.audio_path.empty()) row.audio_path = (path.parent_path() / row.audio_path).string();
    manifest.rows.push_back(std::move(row));
  }
  return manifest;
}

}  // namespace polyphony::corpus
