#include <polyphony/corpus/manifest.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>

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

bool blank(std::string_view cell) {
  return std::all_of(cell.begin(), cell.end(),
                     [](unsigned char c) { return std::isspace(c) != 0; });
}

std::optional<std::int64_t> label_of(const std::string& cell,
                                     std::span<const std::string> classes) {
  const auto found = std::find(classes.begin(), classes.end(), cell);
  if (found != classes.end()) return found - classes.begin();
  std::int64_t number = 0;
  const char* last = cell.data() + cell.size();
  const auto [end, error] = std::from_chars(cell.data(), last, number);
  if (error != std::errc{} || end != last || number < 0) return std::nullopt;
  return number;
}

void require_column(const Manifest& manifest, const std::string& name, const std::string& option) {
  const std::vector<std::string>& header = manifest.table.header;
  if (find(manifest.table, name)) return;
  const std::string nearest = base::nearest(name, header);
  throw DataError(fmt::format("{}: no column '{}'", manifest.path.string(), name),
                  fmt::format("set {} to one of: {}{}", option, fmt::join(header, ", "),
                              nearest.empty() ? "" : " (nearest: " + nearest + ")"));
}

}  // namespace polyphony::corpus
