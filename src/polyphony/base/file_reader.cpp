#include <polyphony/base/file_reader.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <polyphony/base/error.h>

namespace polyphony {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw IoError(path.string() + ": " + what + ": " + std::strerror(error),
                "check the path, its permissions and the disk");
}

}  // namespace

FileReader::FileReader(std::filesystem::path path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_.get() < 0) fail(path_, "cannot open", errno);
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) fail(path_, "cannot stat", errno);
  if (S_ISDIR(status.st_mode)) fail(path_, "cannot read", EISDIR);
  size_ = static_cast<std::uint64_t>(status.st_size);
}

std::size_t FileReader::read(std::uint64_t at, void* into, std::size_t count) const {
  if (at >= size_) return 0;
  count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size_ - at));
  std::size_t done = 0;
  while (done < count) {
    const ssize_t n = ::pread(fd_.get(), static_cast<char*>(into) + done, count - done,
                              static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, "cannot read", errno);
    if (n == 0) break;  // cut while it is read
    done += static_cast<std::size_t>(n);
  }
  return done;
}

std::string FileReader::text(std::uint64_t at, std::size_t count) const {
  std::string bytes(
      static_cast<std::size_t>(std::min<std::uint64_t>(count, at < size_ ? size_ - at : 0)), '\0');
  bytes.resize(read(at, bytes.data(), bytes.size()));
  return bytes;
}

}  // namespace polyphony
