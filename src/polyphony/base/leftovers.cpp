#include <polyphony/base/leftovers.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string_view>
#include <system_error>

#include <polyphony/base/descriptor.h>

namespace polyphony {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMark = ".tmp-";
constexpr std::time_t kOldSeconds = 3600;
constexpr std::size_t kMostName = 200;  // of the file's own name

/// FNV-1a of this host's name, in eight hexadecimal digits.
std::string this_host() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  std::uint32_t hash = 2166136261U;
  for (const char c : std::string_view(name.data())) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", hash);
  return text.data();
}

/// Who writes a temporary file.
struct Writer {
  std::string host;
  pid_t pid = 0;
};

/// What the name of a temporary file says; nullopt for any other name.
std::optional<Writer> writer_of(std::string_view name) {
  constexpr std::size_t kHost = 8;
  constexpr std::size_t kRandom = 6;
  const std::size_t at = name.rfind(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  name.remove_prefix(at + kMark.size());
  if (name.size() < kHost + kRandom + 3 || name[kHost] != '-') return std::nullopt;
  const std::string_view host = name.substr(0, kHost);
  if (host.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  name.remove_prefix(kHost + 1);
  if (name[name.size() - kRandom - 1] != '-') return std::nullopt;
  name.remove_suffix(kRandom + 1);
  Writer writer{std::string(host)};
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), writer.pid);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return writer;
}

bool is_alive(pid_t pid) { return kill(pid, 0) == 0 || errno != ESRCH; }

/// Whether somebody holds the lock of a temporary file; a link has none.
bool is_locked(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  return file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

bool is_leftover(const fs::path& path) {
  const auto writer = writer_of(path.filename().string());
  if (!writer) return false;
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || S_ISDIR(status.st_mode)) return false;
  const bool old = std::time(nullptr) - status.st_mtime > kOldSeconds;
  const bool ended = writer->host == this_host() ? !is_alive(writer->pid) : old;
  return ended && !is_locked(path);
}

}  // namespace

std::string temporary_beside(const fs::path& path, const std::string& ending) {
  // A name has 255 bytes at most.
  const std::string name = path.filename().string().substr(0, kMostName);
  return path.parent_path() /
         (name + std::string(kMark) + this_host() + "-" + std::to_string(getpid()) + "-" + ending);
}

std::size_t remove_leftovers(const fs::path& directory, Depth depth) {
  const int deepest = depth == Depth::kTwoBelow ? 2 : 0;
  std::size_t removed = 0;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(directory, options, error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() >= deepest) it.disable_recursion_pending();
    if (is_leftover(it->path()) && ::unlink(it->path().c_str()) == 0) ++removed;
  }
  return removed;
}

void lock_temporary(int descriptor) {
  // Where the file system has no locks, the name says enough on this host.
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EINTR) {
  }
}

}  // namespace polyphony
