#include <polyphony/job/run_directory.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

namespace polyphony::job {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const fs::path& path, const std::error_code& error) {
  throw IoError(
      fmt::format("{}: cannot make the run directory: {}", path.string(), error.message()),
      "check the permissions and the free space, or set hydra.run.dir to another place");
}

/// True where the directory is now ours alone: making .hydra in it succeeds for one process only.
bool claim(const fs::path& path) {
  std::error_code error;
  const bool made = fs::create_directories(path, error);
  if (error) fail(path, error);
  if (!made) {
    const bool empty = fs::is_empty(path, error);
    if (error) fail(path, error);
    if (!empty) return false;
  }
  const bool claimed = fs::create_directory(path / ".hydra", error);
  if (error) fail(path, error);
  return claimed;
}

}  // namespace

RunDirectory RunDirectory::create(const fs::path& wanted) {
  fs::path path = wanted.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "a/b/" is "a/b"
  fs::path candidate = path;
  for (int suffix = 1; !claim(candidate); ++suffix) {
    candidate = path.string() + fmt::format("-{}", suffix);
  }
  return RunDirectory(candidate);
}

RunDirectory RunDirectory::resume(const fs::path& existing) {
  make_directory(existing);
  return RunDirectory(existing);
}

}  // namespace polyphony::job
