#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace polyphony::record {

/// The machine's name; "unknown" where the system does not tell.
std::string host_name();
std::int64_t process_id();
/// The arguments of this process, those with special characters in single quotes.
std::string command_line();

/// Seconds since 1970, UTC.
double now();
/// "2024-03-01T12:30:05Z".
std::string iso_time(double seconds);

struct GitState {
  std::string commit;  ///< 40 (or 64) hex digits
  bool dirty = false;  ///< a tracked file differs from the commit
};
/// nullopt where git is not installed or the directory is in no repository with a commit.
std::optional<GitState> git_state(const std::filesystem::path& directory = ".");
/// Changes of tracked files against the commit, as `git diff HEAD`; "" where there are none or no
/// repository. More than 4 MiB are cut, with a line that says so.
std::string git_diff(const std::filesystem::path& directory = ".");
/// URL of `origin` without user and password; "" where there is none.
std::string git_remote(const std::filesystem::path& directory = ".");

/// Whether a process of this host still runs; one that began after `started` (seconds since 1970)
/// is another with the same number.
bool process_alive(std::int64_t pid, double started);

}  // namespace polyphony::record
