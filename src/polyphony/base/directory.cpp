#include <polyphony/base/directory.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>

namespace polyphony {
namespace fs = std::filesystem;

fs::path absolute_directory(const fs::path& path) {
  const fs::path whole = fs::weakly_canonical(fs::absolute(path)).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

namespace {

/// Locks of this process: flock would let one process's owners shut each other out without a name.
struct Held {
  const void* owner = nullptr;
  std::string holder;
  std::weak_ptr<RunLock> lock;
};
std::mutex held_mutex;
std::map<fs::path, Held> held;

std::string host() {
  char name[256] = "";
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

[[noreturn]] void refuse(const fs::path& directory, const std::string& holder,
                         const std::string& remedy) {
  throw IoError(
      fmt::format("{}: another run writes its checkpoints here: {}", directory.string(), holder),
      remedy);
}

void tell_unlocked(const fs::path& directory, int error) {
  warn("{}: cannot be locked ({}): see to it that no other run writes its checkpoints there",
       directory.string(), std::strerror(error));
}

/// What the holder has written; a moment before it has, nothing.
std::string holder_in(int fd) {
  char text[4096];
  const ssize_t size = ::pread(fd, text, sizeof(text), 0);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "a process unknown";
}

/// Whether the path still names the open file: its last holder may have removed it.
bool is_at(int fd, const fs::path& path) {
  struct stat open_file {};
  struct stat named {};
  return ::fstat(fd, &open_file) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

}  // namespace

std::shared_ptr<RunLock> RunLock::acquire(const fs::path& given, const void* owner,
                                          const std::string& holder, const std::string& remedy) {
  make_directory(given);
  const fs::path directory = absolute_directory(given);
  const std::string me = fmt::format("process {} on {}, {}", ::getpid(), host(), holder);
  const std::lock_guard<std::mutex> guard(held_mutex);
  Held& mine = held[directory];
  if (auto lock = mine.lock.lock()) {
    if (mine.owner == owner) return lock;
    refuse(directory, mine.holder, remedy);
  }
  const fs::path file = directory / kFileName;
  while (true) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
      tell_unlocked(directory, errno);
      return nullptr;
    }
    std::shared_ptr<RunLock> lock(new RunLock(file, fd));
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      lock->file_.clear();  // it is another's
      if (error == EINTR) continue;
      if (error == EWOULDBLOCK) refuse(directory, holder_in(fd), remedy);
      tell_unlocked(directory, error);
      return nullptr;
    }
    if (!is_at(fd, file)) {
      lock->file_.clear();
      continue;
    }
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, me.data(), me.size(), 0) < 0) {
      // A full disk: held all the same, without a name.
    }
    mine = {owner, me, lock};
    return lock;
  }
}

RunLock::~RunLock() {
  if (!file_.empty()) ::unlink(file_.c_str());  // while it is held: nobody else's
}

}  // namespace polyphony
