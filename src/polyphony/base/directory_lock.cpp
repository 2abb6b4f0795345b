#include <polyphony/base/directory_lock.h>

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

namespace polyphony {

std::optional<DirectoryLock> DirectoryLock::try_lock(const std::filesystem::path& directory) {
  DirectoryLock lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.descriptor_.get() < 0) return lock;
  int result = 0;
  while ((result = ::flock(lock.descriptor_.get(), LOCK_EX | LOCK_NB)) != 0 && errno == EINTR) {
  }
  if (result != 0 && errno == EWOULDBLOCK) return std::nullopt;
  return lock;
}

}  // namespace polyphony
