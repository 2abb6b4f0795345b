#include <polyphony/record/metrics_rows.h>

#include <string>

#include <polyphony/base/files.h>

namespace polyphony::record {

std::int64_t keep_metrics_rows(const std::filesystem::path& path, std::int64_t rows) {
  if (!std::filesystem::exists(path)) return 0;
  const std::string text = read_file(path);
  std::size_t end = text.find('\n');  // of the header
  std::int64_t values = 0;
  for (std::int64_t row = 0; row < rows && end != std::string::npos; ++row) {
    const std::size_t next = text.find('\n', end + 1);
    if (next == std::string::npos) break;
    // Numbers need no quotes. The first two cells are epoch and step.
    std::int64_t cell = 0;
    for (std::size_t at = end + 1; at <= next; ++at) {
      if (text[at] != ',' && at != next) continue;
      values += cell >= 2 && text[at - 1] != ',' ? 1 : 0;
      ++cell;
    }
    end = next;
  }
  if (end != std::string::npos && end + 1 < text.size()) {
    std::filesystem::path before = path;
    write_file(before += ".before-resume", text);
    write_file(path, text.substr(0, end + 1));
  }
  return values;
}

}  // namespace polyphony::record
