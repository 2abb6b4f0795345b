#include <polyphony/record/formats/append_file.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/last_line.h>

namespace polyphony::record {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int code) {
  throw IoError(fmt::format("{}: cannot be written: {}", path.string(),
                            std::generic_category().message(code)),
                "check the permissions and the free space");
}

}  // namespace

AppendFile::AppendFile(std::filesystem::path path, Mode mode) : path_(std::move(path)) {
  std::error_code error;
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), error);
  if (error) fail(path_, error.value());
  const int how = mode == Mode::kNew ? O_EXCL : 0;
  descriptor_ =
      Descriptor(open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | how, 0666));
  if (descriptor() < 0) fail(path_, errno);
  struct stat status {};
  if (fstat(descriptor(), &status) == 0) written_ = static_cast<std::size_t>(status.st_size);
  const std::size_t whole = mode == Mode::kContinue ? whole_lines(descriptor(), path_) : 0;
  if (whole < written_) cut(whole);
}

void AppendFile::cut(std::size_t size) {
  if (ftruncate(descriptor(), static_cast<off_t>(size)) != 0) fail(path_, errno);
  written_ = size;
  torn_ = false;
}

void AppendFile::flush() {
  if (pending_.empty()) return;
  struct stat status {};
  if (fstat(descriptor(), &status) != 0) fail(path_, errno);
  if (status.st_nlink == 0) fail(path_, ENOENT);
  if (torn_) {
    cut(written_);
  } else {
    written_ = static_cast<std::size_t>(status.st_size);
  }
  std::size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t wrote = write(descriptor(), pending_.data() + done, pending_.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int code = errno;
      torn_ = done > 0 && ftruncate(descriptor(), static_cast<off_t>(written_)) != 0;
      fail(path_, code);
    }
    done += static_cast<std::size_t>(wrote);
  }
  written_ += done;
  pending_.clear();
}

}  // namespace polyphony::record
