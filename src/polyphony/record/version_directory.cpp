#include <polyphony/record/version_directory.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

std::int64_t next_version(const fs::path& root) {
  constexpr std::string_view kPrefix = "version_";
  std::int64_t next = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    if (const auto found = number(std::string_view(name).substr(kPrefix.size()))) {
      next = std::max(next, *found + 1);
    }
  }
  return next;
}

}  // namespace

fs::path version_directory(const fs::path& save_dir, const std::string& name,
                           const std::optional<std::string>& version) {
  const fs::path root = name.empty() ? save_dir : save_dir / name;
  make_directory(root);
  if (version) {
    fs::path path = root / (number(*version) ? "version_" + *version : *version);
    make_directory(path);
    return path;
  }
  for (;;) {
    fs::path path = root / fmt::format("version_{}", next_version(root));
    std::error_code error;
    if (fs::create_directory(path, error)) return path;
    if (error) {
      throw IoError(
          fmt::format("{}: cannot make the logger's directory: {}", path.string(), error.message()),
          "check the permissions and the free space");
    }
  }
}

}  // namespace polyphony::record
