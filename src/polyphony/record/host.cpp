#include <polyphony/record/host.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <ctime>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <vector>

#include <polyphony/record/secrets.h>

extern char** environ;

namespace polyphony::record {
namespace {

/// What a program prints; nullopt where it cannot be started or fails.
std::optional<std::string> output_of(std::vector<std::string> arguments) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  if (failed == 0) {
    std::array<char, 4096> block{};
    for (;;) {
      const ssize_t got = read(ends[0], block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      text.append(block.data(), static_cast<std::size_t>(got));
    }
  }
  close(ends[0]);
  if (failed != 0) return std::nullopt;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return std::nullopt;
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return text;
}

std::string shell_quoted(const std::string& argument) {
  constexpr const char* kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=./,:@%";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// When a process began, seconds since 1970; nullopt where /proc does not tell. Infinity for one
/// that has ended and whose parent has not asked yet.
std::optional<double> start_of(std::int64_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  fields >> field;  // proc(5): field 3 is the state, field 22 starttime in ticks
  if (field == "Z" || field == "X") return std::numeric_limits<double>::infinity();
  for (int i = 4; i <= 22; ++i) fields >> field;
  const double ticks = std::strtod(field.c_str(), nullptr);
  std::ifstream system("/proc/stat");
  while (system >> field) {
    double boot = 0;
    if (field == "btime" && system >> boot) {
      return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
  }
  return std::nullopt;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "unknown";
  return name.data();
}

std::int64_t process_id() { return getpid(); }

std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string line;
  for (std::string argument; std::getline(file, argument, '\0');) {
    if (!line.empty()) line += ' ';
    line += shell_quoted(argument);
  }
  return line;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string iso_time(double seconds) {
  const auto whole = static_cast<std::time_t>(std::floor(seconds));
  std::tm parts{};
  gmtime_r(&whole, &parts);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::optional<GitState> git_state(const std::filesystem::path& directory) {
  const std::string where = directory.empty() ? "." : directory.string();
  auto commit = output_of({"git", "-C", where, "rev-parse", "--verify", "HEAD"});
  if (!commit) return std::nullopt;
  while (!commit->empty() && commit->back() == '\n') commit->pop_back();
  const auto changes = output_of(
      {"git", "--no-optional-locks", "-C", where, "status", "--porcelain", "--untracked-files=no"});
  return GitState{*commit, changes.has_value() && !changes->empty()};
}

std::string git_diff(const std::filesystem::path& directory) {
  constexpr std::size_t kMost = 4 << 20;
  const std::string where = directory.empty() ? "." : directory.string();
  std::string diff = output_of({"git", "--no-optional-locks", "-C", where, "diff", "--no-color",
                                "--no-ext-diff", "HEAD"})
                         .value_or("");
  if (diff.size() > kMost) {
    diff.resize(kMost);
    diff += "\n(cut here after 4 MiB)\n";
  }
  return diff;
}

std::string git_remote(const std::filesystem::path& directory) {
  const std::string where = directory.empty() ? "." : directory.string();
  std::string url = output_of({"git", "-C", where, "remote", "get-url", "origin"}).value_or("");
  while (!url.empty() && url.back() == '\n') url.pop_back();
  return without_credentials(url);
}

bool process_alive(std::int64_t pid, double started) {
  if (pid <= 0) return false;
  if (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return false;
  const std::optional<double> start = start_of(pid);
  return !start || *start <= started + 2;  // the boot time is known to the second only
}

}  // namespace polyphony::record
