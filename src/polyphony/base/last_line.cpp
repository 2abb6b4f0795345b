#include <polyphony/base/last_line.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/error.h>

namespace polyphony {

std::size_t whole_lines(int descriptor, const std::filesystem::path& path) {
  const auto fail = [&path](int code) {
    throw IoError(path.string() + ": cannot read: " + std::generic_category().message(code),
                  "check the file and the disk");
  };
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(errno);
  std::array<char, 1 << 14> buffer;
  auto end = static_cast<std::size_t>(status.st_size);
  while (end > 0) {
    const std::size_t size = std::min(end, buffer.size());
    const ssize_t got = ::pread(descriptor, buffer.data(), size, static_cast<off_t>(end - size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(errno);
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    if (const auto found = bytes.rfind('\n'); found != std::string_view::npos) {
      return end - size + found + 1;
    }
    end -= size;
  }
  return 0;
}

void end_last_line(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  struct stat status {};
  char last = '\n';
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0 || status.st_size == 0) return;
  if (::pread(file.get(), &last, 1, status.st_size - 1) != 1 || last == '\n') return;
  const ssize_t ignored = ::write(file.get(), "\n", 1);
  static_cast<void>(ignored);
}

}  // namespace polyphony
