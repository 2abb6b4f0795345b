#include <polyphony/base/files.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <polyphony/base/error.h>
#include <polyphony/base/leftovers.h>

namespace polyphony {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& what, const fs::path& path, int error,
                       const std::string& remedy) {
  throw IoError(path.string() + ": " + what + ": " + std::strerror(error), remedy);
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

int open_temporary(const fs::path& path, std::string& temporary) {
  std::error_code ignored;
  fs::create_directories(directory_of(path), ignored);
  return ::mkostemp(temporary.data(), O_CLOEXEC);
}

void sync_directory(const fs::path& directory) {
  const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) ::fsync(fd.get());
}

}  // namespace

std::string read_file(const fs::path& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail("cannot open", path, errno, "check the path and its permissions");
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail("cannot stat", path, errno, "check the path");
  if (S_ISDIR(status.st_mode)) fail("cannot read", path, EISDIR, "name a file, not a directory");
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(status.st_size));
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read", path, errno, "check the file and the disk");
    if (n == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

FileWriter::FileWriter(fs::path path)
    : path_(std::move(path)),
      temporary_(temporary_beside(path_)),
      fd_(open_temporary(path_, temporary_)) {
  if (fd_.get() < 0) {
    fail("cannot create a file here", path_, errno, "check that the directory can be written to");
  }
  lock_temporary(fd_.get());
}

FileWriter::~FileWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void FileWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write", path_, errno, "free space on the disk or choose another place");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void FileWriter::finish() {
  ::fchmod(fd_.get(), 0644);
  if (::fsync(fd_.get()) != 0) fail("cannot flush", path_, errno, "free space on the disk");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail("cannot put the file in place", path_, errno, "check that it is no directory");
  }
  temporary_.clear();
  sync_directory(directory_of(path_));
}

void write_file(const fs::path& path, std::string_view bytes) {
  FileWriter file(path);
  file.write(bytes);
  file.finish();
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  write_file(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void make_directory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    fail("cannot create the directory", path, error ? error.value() : ENOTDIR,
         "choose a place that you may write to");
  }
  if (::access(path.c_str(), W_OK) != 0) {
    fail("the directory cannot be written to", path, errno,
         "choose another or mend its permissions");
  }
}

}  // namespace polyphony
