#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/digest.h>
#include <polyphony/pipeline/resume_guard.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

/// A file's path behind the first folder in which it is; empty where it is in none.
fs::path found(const std::string& cell, const std::vector<fs::path>& folders) {
  if (cell.empty() || cell.size() > 4096) return {};
  for (const fs::path& folder : folders) {
    std::error_code error;
    if (fs::path path = folder / cell; fs::is_regular_file(path, error)) return path;
  }
  return {};
}

/// Size and samples: the first, the middle and the last bytes, which a recording that was cut,
/// exchanged or converted does not share with the one before.
void add_file(Digest& digest, const fs::path& path) {
  constexpr std::streamoff kSample = 4096;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : 0;
  digest.update(fmt::format("{}\n", size));
  std::array<char, kSample> bytes{};
  for (const std::streamoff at : {std::streamoff{0}, size / 2, size - kSample}) {
    if (at < 0 || !file) continue;
    file.seekg(at);
    file.read(bytes.data(), std::min(kSample, size - at));
    digest.update({bytes.data(), static_cast<std::size_t>(file.gcount())});
    file.clear();
  }
}

}  // namespace

Leaves data_digests(const data::Dataset& rows, const std::vector<fs::path>& folders) {
  const CsvTable& table = rows.table();
  if (table.rows.empty()) return {};
  Digest text(DigestKind::kSha256);
  text.update(to_csv(table));
  Leaves digests = {{"rows", text.hex()}};
  Digest files(DigestKind::kSha256);
  bool any = false;
  for (std::size_t column = 0; column < table.header.size(); ++column) {
    const auto cell_of = [&](const std::vector<std::string>& row) {
      return column < row.size() ? found(row[column], folders) : fs::path();
    };
    if (cell_of(table.rows.front()).empty()) continue;
    any = true;
    for (const auto& row : table.rows) add_file(files, cell_of(row));
  }
  if (any) digests.emplace_back("files", files.hex());
  return digests;
}

}  // namespace polyphony::pipeline
